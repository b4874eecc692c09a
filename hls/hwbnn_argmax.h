// ArgMax: the index of the largest element; ties go to the lowest index.
#ifndef HWBNN_ARGMAX_H_
#define HWBNN_ARGMAX_H_

#include "hwbnn_layout.h"

namespace hwbnn {

// A balanced tree of comparisons. The left of a pair always has the lower indices, and the right
// wins only where it is larger, so that a tie keeps the lowest index.
template <class data_T, class res_T, typename CONFIG_T>
void argmax(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    static const unsigned levels = 12; // 2^12 = unroll_limit
    typename in::element_t best[in::size];
    typename out::element_t where[in::size];
    #pragma HLS ARRAY_PARTITION variable=best complete
    #pragma HLS ARRAY_PARTITION variable=where complete
Leaf:
    for (unsigned i = 0; i < in::size; i++) {
        #pragma HLS UNROLL
        best[i] = in::get(x, i);
        where[i] = i;
    }
Level:
    for (unsigned level = 0; level < levels; level++) {
        #pragma HLS UNROLL
    Pair:
        for (unsigned i = 0; i < in::size / 2; i++) {
            #pragma HLS UNROLL
            const unsigned left = i << (level + 1);
            const unsigned right = left + (1u << level);
            if (right < in::size && best[right] > best[left]) {
                best[left] = best[right];
                where[left] = where[right];
            }
        }
    }
    out::put(y, 0, where[0]);
}

} // namespace hwbnn

#endif
