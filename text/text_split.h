#pragma once
/// How texts are split before pairs are merged: merges never cross the parts.

#include <string>
#include <vector>

namespace softmoe {

/// The parts of `text` in lower case by CLIP's pattern: the marks `<|startoftext|>` and
/// `<|endoftext|>`, the endings 's 't 're 've 'm 'll 'd, runs of letters, single numbers, runs of
/// what is neither letter, number nor white space. White space belongs to no part. Source:
/// openai/CLIP, simple_tokenizer.py (Radford et al., arXiv:2103.00020, section 2.4).
std::vector<std::string> clip_parts(const std::string& text);

/// The parts of `text` by GPT-2's pattern, which together are the text: the endings as above, runs
/// of letters, of numbers or of other characters, each with one space before it, and runs of white
/// space. Bytes that are not UTF-8 are kept. Source: Radford et al. 2019, openai/gpt-2, encoder.py.
std::vector<std::string> gpt2_parts(const std::string& text);

}  // namespace softmoe
