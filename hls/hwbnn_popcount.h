// The number of ones in a word, in two forms that give the same count.
//
// By default a balanced tree of adders, which is what synthesis sees. With HWBNN_POPCOUNT_BUILTIN
// the compiler's builtin, which makes C simulation several times faster. The macro is our own, so
// that either form can be compiled, tested and compared with any tool.
#ifndef HWBNN_POPCOUNT_H_
#define HWBNN_POPCOUNT_H_

#include "ap_int.h"

namespace hwbnn {

// COUNT_T holds WIDTH; WIDTH is at most 64.
template <class COUNT_T, int WIDTH> COUNT_T popcount(const ap_uint<WIDTH> &word) {
    #pragma HLS INLINE
    static_assert(WIDTH <= 64, "a word has at most 64 bits");
#ifdef HWBNN_POPCOUNT_BUILTIN
    return __builtin_popcountll(word.to_uint64());
#else
    static const int levels = 6; // 2^6 = 64
    COUNT_T sum[WIDTH];
    #pragma HLS ARRAY_PARTITION variable=sum complete
Leaf:
    for (int i = 0; i < WIDTH; i++) {
        #pragma HLS UNROLL
        sum[i] = word[i];
    }
Level:
    for (int level = 0; level < levels; level++) {
        #pragma HLS UNROLL
    Pair:
        for (int i = 0; i < WIDTH / 2; i++) {
            #pragma HLS UNROLL
            const int left = i << (level + 1);
            const int right = left + (1 << level);
            if (right < WIDTH)
                sum[left] += sum[right];
        }
    }
    return sum[0];
#endif
}

} // namespace hwbnn

#endif
