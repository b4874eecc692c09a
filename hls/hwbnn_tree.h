// The sum of an array as a balanced tree of adders.
//
// A loop of `sum += terms[i]` is a chain of N adders, and where the sum is kept from one iteration
// of a pipelined loop to the next, the whole chain has to fit between two registers. So a step's
// terms are added by a tree first, and one adder remains between the registers.
#ifndef HWBNN_TREE_H_
#define HWBNN_TREE_H_

#include "ap_int.h"

namespace hwbnn {

// A tree is two trees of half the size: templates nest as deep as the tree, not as its terms.
template <unsigned N> struct adder_tree {
    template <class sum_T, class term_T> static sum_T sum(const term_T *terms) {
        #pragma HLS INLINE
        const sum_T left = adder_tree<N / 2>::template sum<sum_T, term_T>(terms);
        const sum_T right = adder_tree<N - N / 2>::template sum<sum_T, term_T>(terms + N / 2);
        return left + right;
    }
};

template <> struct adder_tree<1> {
    template <class sum_T, class term_T> static sum_T sum(const term_T *terms) {
        #pragma HLS INLINE
        return terms[0];
    }
};

} // namespace hwbnn

#endif
