#!/usr/bin/env bash
# Compiles each installed header alone.
# usage: check_headers.sh HEADERS FLAGS WORK    the folder of the headers, a file of compiler flags
#
# A source that includes one header ends with an #error, at which the compiler stops: it has parsed
# the header by then, and does not go on to instantiate the templates of libtorch, which would take
# two seconds for each header. Headers of other libraries are precompiled.
set -euo pipefail
headers=$1 flags=$2 work=$3
compiler=${CXX:-c++}
mkdir -p "$work"

cat >"$work/others.h" <<'END'
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <opencv2/core/mat.hpp>
END
"$compiler" "@$flags" -x c++-header "$work/others.h" -o "$work/others.h.gch"

compile() {
  local header=$1 work=$2 source
  source=$work/$(tr / _ <<<"$header").cpp
  printf '#include "%s"\n#error the header is parsed\n' "$header" >"$source"
  "$3" "@$4" -Wfatal-errors -include "$work/others.h" -fsyntax-only "$source" >"$source.log" 2>&1 || true
  if ! grep -q "#error the header is parsed" "$source.log"; then
    echo "$header does not compile alone:"
    cat "$source.log"
    return 1
  fi
}
export -f compile

cd "$headers"
mapfile -t names < <(find . -name '*.h' -printf '%P\n' | sort)
printf '%s\0' "${names[@]}" |
  xargs -0 -P "$(nproc)" -I{} bash -c 'compile "$@"' _ {} "$work" "$compiler" "$flags"
echo "${#names[@]} headers of $(printf '%s\n' "${names[@]%%/*}" | sort -u | wc -l) folders compile alone"
