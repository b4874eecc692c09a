// Dot products with integer weights: the terms that dot and neurons (hwbnn_dot.h) add, and
// weighted_dot for sums of bits.
//
// Over integers the accumulator is the sum itself; CONFIG_T::product says how products are formed.
// Over bits it is the sum of the weights of the inputs that are +1; weighted_dot computes the value
// from it and from the sum of the row's weights.
//
// For each fold, each of its steps and each of its pe outputs there is a row of simd weights of
// weight_width bits. A word holds word_weights of them, the first in the lowest bits, and a row takes
// weight_words words; short rows share a word, word_rows in each. Rows of ternary weights over bits
// are two rows of bits as in hwbnn_dot.h: first the signs of all pe outputs, then their masks, whose
// bits are 1 where a weight is not 0. A step reads step_words words.
#ifndef HWBNN_WEIGHTED_H_
#define HWBNN_WEIGHTED_H_

#include "hwbnn_dot.h"

namespace hwbnn {

// The weight of input i of step number `cycle` of the frame, for output p of the fold.
template <typename CONFIG_T>
typename CONFIG_T::coefficient_t
weight_of(const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
          unsigned p, unsigned i) {
    #pragma HLS INLINE
    const unsigned first = p / CONFIG_T::word_rows * CONFIG_T::weight_words;
    const unsigned row = p % CONFIG_T::word_rows * CONFIG_T::simd;
    const unsigned offset = (row + i % CONFIG_T::word_weights) * CONFIG_T::weight_width;
    const unsigned word = cycle * CONFIG_T::step_words + first + i / CONFIG_T::word_weights;
    const ap_uint<CONFIG_T::weight_width> code = weights[word] >> offset;
    return code;
}

// A product of constants and inputs: shifts and adders, which synthesis chooses.
struct constant_product {
    template <class product_T, class weight_T, class data_T>
    static product_T of(weight_T weight, data_T x) {
        #pragma HLS INLINE
        return weight * x;
    }
};

struct dsp_product {
    template <class product_T, class weight_T, class data_T>
    static product_T of(weight_T weight, data_T x) {
        #pragma HLS INLINE
        const product_T product = weight * x;
        #pragma HLS BIND_OP variable=product op=mul impl=dsp
        return product;
    }
};

struct lut_product {
    template <class product_T, class weight_T, class data_T>
    static product_T of(weight_T weight, data_T x) {
        #pragma HLS INLINE
        const product_T product = weight * x;
        #pragma HLS BIND_OP variable=product op=mul impl=fabric
        return product;
    }
};

// Weights of -1, 0 and +1 need no multiplier.
struct ternary_product {
    template <class product_T, class weight_T, class data_T>
    static product_T of(weight_T weight, data_T x) {
        #pragma HLS INLINE
        const product_T same = x;
        const product_T opposite = -x;
        if (weight == 0)
            return 0;
        return weight < 0 ? opposite : same;
    }
};

// Integers: the accumulator is the sum.
struct weighted_integer_terms : integer_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef typename CONFIG_T::product product;
        typedef typename CONFIG_T::product_t product_t;
        accum_t part[CONFIG_T::simd];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Term:
        for (unsigned i = 0; i < CONFIG_T::simd; i++) {
            #pragma HLS UNROLL
            part[i] = product::template of<product_t>(weight_of<CONFIG_T>(weights, cycle, p, i),
                                                      x[step * CONFIG_T::simd + i]);
        }
        return adder_tree<CONFIG_T::simd>::template sum<accum_t, accum_t>(part);
    }
};

// Bits: the accumulator is the sum of the weights of those that are +1.
struct weighted_bit_terms : integer_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef typename CONFIG_T::in in;
        accum_t part[CONFIG_T::simd];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Term:
        for (unsigned i = 0; i < CONFIG_T::simd; i++) {
            #pragma HLS UNROLL
            if (x[step * CONFIG_T::row_words + in::word(i)][in::bit(i)])
                part[i] = weight_of<CONFIG_T>(weights, cycle, p, i);
            else
                part[i] = 0;
        }
        return adder_tree<CONFIG_T::simd>::template sum<accum_t, accum_t>(part);
    }

    // The weights of inputs that are +1 sum to raw, all weights of the row to `row`; the weights of the
    // other inputs count with the opposite sign.
    template <class sum_T, typename CONFIG_T>
    static sum_T sum(typename CONFIG_T::accum_t raw, typename CONFIG_T::factor_t row) {
        #pragma HLS INLINE
        return 2 * raw - row;
    }
};

// Bits of which some do not count, with masks as in masked_terms: the accumulator is the sum.
struct masked_weighted_terms : integer_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef typename CONFIG_T::in in;
        static const unsigned masks = CONFIG_T::in::words / 2;
        accum_t part[CONFIG_T::simd];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Term:
        for (unsigned i = 0; i < CONFIG_T::simd; i++) {
            #pragma HLS UNROLL
            const unsigned at = step * CONFIG_T::row_words + in::word(i);
            const accum_t weight = weight_of<CONFIG_T>(weights, cycle, p, i);
            const bool counts = x[masks + at][in::bit(i)];
            const bool plus = x[at][in::bit(i)];
            if (!counts)
                part[i] = 0;
            else if (plus)
                part[i] = weight;
            else
                part[i] = -weight;
        }
        return adder_tree<CONFIG_T::simd>::template sum<accum_t, accum_t>(part);
    }
};

// Bits, and weights of -1, 0 and +1: of the inputs whose weight is not 0, the accumulator counts those
// that differ from their weight.
struct ternary_terms : bit_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        static const unsigned masks = CONFIG_T::step_words / 2;
        accum_t part[CONFIG_T::row_words];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const word_t sign = row_word<CONFIG_T>(weights, cycle, p, k);
            const word_t mask = row_word<CONFIG_T>(weights, cycle, p, masks + k);
            const word_t differ = (x[step * CONFIG_T::row_words + k] ^ sign) & mask;
            part[k] = popcount<accum_t>(differ);
        }
        return adder_tree<CONFIG_T::row_words>::template sum<accum_t, accum_t>(part);
    }
};

// The same for bits of which some do not count: the accumulator is the sum.
struct masked_ternary_terms : integer_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        static const unsigned masks = CONFIG_T::step_words / 2;
        static const unsigned outside = CONFIG_T::in::words / 2;
        accum_t part[CONFIG_T::row_words];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const unsigned at = step * CONFIG_T::row_words + k;
            const word_t sign = row_word<CONFIG_T>(weights, cycle, p, k);
            const word_t mask = row_word<CONFIG_T>(weights, cycle, p, masks + k);
            const word_t counts = mask & x[outside + at];
            const word_t differ = (x[at] ^ sign) & counts;
            const accum_t all = popcount<accum_t>(counts);
            part[k] = all - 2 * popcount<accum_t>(differ);
        }
        return adder_tree<CONFIG_T::row_words>::template sum<accum_t, accum_t>(part);
    }
};

struct weighted_sums_given : no_inputs {
    template <typename CONFIG_T, class result_T>
    static void give(result_T *y, unsigned channel, typename CONFIG_T::accum_t accum,
                     const typename CONFIG_T::accum_t[CONFIG_T::n_groups],
                     const typename CONFIG_T::factor_t *factors, unsigned) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::terms terms;
        typedef typename CONFIG_T::out out;
        typedef typename out::element_t element_t;
        out::put(y, channel, terms::template sum<element_t, CONFIG_T>(accum, factors[channel]));
    }
};

// Dot over bits: y[c] = the sum of the weights of the bits that are +1, minus those of the other bits.
// It is computed from the accumulator and `factors`, a number for each row: with ternary_terms, how
// many of its weights are not 0; with weighted_bit_terms, the sum of its weights.
template <class data_T, class res_T, typename CONFIG_T>
void weighted_dot(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                  const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                  const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    typedef typename CONFIG_T::factor_t factor_t;
    const unsigned weight_banks = CONFIG_T::weight_banks;
    const unsigned factor_banks = CONFIG_T::factor_banks;
    #pragma HLS ARRAY_PARTITION variable=weights cyclic factor=weight_banks
    #pragma HLS ARRAY_PARTITION variable=factors cyclic factor=factor_banks
    folds<weighted_sums_given, data_T, res_T, factor_t, CONFIG_T>(x, y, weights, factors, 0);
}

template <class data_T, class res_T, typename CONFIG_T>
void weighted_dot_unrolled(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                           const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                           const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    #pragma HLS PIPELINE II=1
    weighted_dot<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

} // namespace hwbnn

#endif
