#pragma once
// libtorch's wheels have Gloo in their library without its headers. c10d's header of its Gloo backend
// needs no more than these declarations.
