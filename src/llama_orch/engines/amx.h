/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GCC's _tile_loadconfig (amxtileintrin.h, GCC 11 and 12 at least) names 8 of the 64 bytes that the instruction reads,
 * so the compiler drops the stores that fill the tile configuration, and the first matrix product ends the process
 * (ggml-org/llama.cpp PR 26954). This header goes before every source file (-include) and names all 64.
 */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
struct __attribute__((may_alias)) orch_tile_config { unsigned char bytes[64]; };
static __inline__ __attribute__((always_inline)) void orch_tile_loadconfig(const void *config) {
    __asm__ __volatile__("ldtilecfg\t%X0" : : "m"(*(const struct orch_tile_config *)config));
}
#undef _tile_loadconfig
#define _tile_loadconfig(config) orch_tile_loadconfig(config)
#endif
