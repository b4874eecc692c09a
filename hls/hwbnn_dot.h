// Dot products: dot gives the sums, neurons the thresholds they reach.
//
// Both are folded: pe outputs times simd inputs a cycle, (n_in / simd) * (n_out / pe) cycles a
// frame. With pe = n_out and simd = n_in they are unrolled: dot_unrolled and neurons_unrolled take
// a frame a cycle.
//
// Weights of -1 and +1 are packed as bits, 1 for +1. For each fold, each of its steps and each of its
// pe outputs there is a row: the simd weights that this step takes. A row is cut into row_words words
// of row_width bits, in the same way as the bits of the source, so that a step is XOR and popcount of
// whole words. Bits beyond the row are zero in both. Short rows share a word: word_rows in each, the
// first in the lowest bits. A step reads step_words words. hwbnn_weighted.h has other weights.
//
// Where several steps follow one another, constants lie in as many banks as are read at once. An
// unrolled layer reads all of them at fixed places, where they are part of the logic: one bank.
//
// CONFIG_T::terms says how inputs are added. With bit_terms the accumulator counts the inputs that
// differ from their weights; with masked_terms it does so for those bits that count; with
// integer_terms it is the signed sum. `add` gives the sum of one step, by a tree of adders; the
// accumulator adds one such sum a cycle.
#ifndef HWBNN_DOT_H_
#define HWBNN_DOT_H_

#include "hwbnn_layout.h"
#include "hwbnn_popcount.h"
#include "hwbnn_tree.h"

namespace hwbnn {

// One word of the row of output p in step number `cycle` of the frame.
template <typename CONFIG_T>
ap_uint<CONFIG_T::row_width>
row_word(const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle, unsigned p,
         unsigned word) {
    #pragma HLS INLINE
    const unsigned first = p / CONFIG_T::word_rows * CONFIG_T::row_words;
    const unsigned offset = p % CONFIG_T::word_rows * CONFIG_T::row_width;
    return weights[cycle * CONFIG_T::step_words + first + word] >> offset;
}

struct bit_terms {
    // Adds the inputs of one step that differ from their weights, for output p of the fold.
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        accum_t part[CONFIG_T::row_words];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const word_t weight = row_word<CONFIG_T>(weights, cycle, p, k);
            const word_t differ = x[step * CONFIG_T::row_words + k] ^ weight;
            part[k] = popcount<accum_t>(differ);
        }
        return adder_tree<CONFIG_T::row_words>::template sum<accum_t, accum_t>(part);
    }

    // Adds the inputs of one step that are +1.
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t add_inputs(const data_T x[CONFIG_T::in::words],
                                                 unsigned step) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        accum_t part[CONFIG_T::row_words];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const word_t word = x[step * CONFIG_T::row_words + k];
            part[k] = popcount<accum_t>(word);
        }
        return adder_tree<CONFIG_T::row_words>::template sum<accum_t, accum_t>(part);
    }

    // n inputs of which k are +1 sum to 2 k - n.
    template <class sum_T, typename CONFIG_T>
    static sum_T inputs(typename CONFIG_T::accum_t plus, unsigned n) {
        #pragma HLS INLINE
        return 2 * plus.to_int() - int(n);
    }

    // n inputs of which d differ sum to n - 2 d.
    template <class sum_T, typename CONFIG_T>
    static sum_T sum(typename CONFIG_T::accum_t differing, unsigned n) {
        #pragma HLS INLINE
        return int(n) - 2 * differing.to_int();
    }

    // Thresholds are compared with the count itself.
    template <typename CONFIG_T>
    static typename CONFIG_T::accum_t level(typename CONFIG_T::accum_t differing, unsigned) {
        #pragma HLS INLINE
        return differing;
    }

    // The fewer inputs differ, the larger is the sum.
    template <class accum_T, class threshold_T>
    static bool reached(accum_T differing, threshold_T limit) {
        #pragma HLS INLINE
        return differing < limit;
    }
};

// Bits of which some do not count. The words of the bits are followed by as many words of masks, whose
// bits are 1 where the input counts. An input that does not count has the code 0.
struct masked_terms : bit_terms {
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        static const unsigned masks = CONFIG_T::in::words / 2;
        accum_t part[CONFIG_T::row_words];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const unsigned at = step * CONFIG_T::row_words + k;
            const word_t weight = row_word<CONFIG_T>(weights, cycle, p, k);
            const word_t differ = (x[at] ^ weight) & x[masks + at];
            part[k] = popcount<accum_t>(differ);
        }
        return adder_tree<CONFIG_T::row_words>::template sum<accum_t, accum_t>(part);
    }

    // The number of inputs that count differs from place to place, so thresholds are compared with sums.
    template <typename CONFIG_T>
    static int level(typename CONFIG_T::accum_t differing, unsigned n) {
        #pragma HLS INLINE
        return int(n) - 2 * differing.to_int();
    }

    template <class accum_T, class threshold_T>
    static bool reached(accum_T sum, threshold_T threshold) {
        #pragma HLS INLINE
        return sum >= threshold;
    }
};

struct integer_terms {
    // Adds the inputs of one step, each with the sign of its weight, for output p of the fold.
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t
    add(const data_T x[CONFIG_T::in::words],
        const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], unsigned cycle,
        unsigned step, unsigned p) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef ap_uint<CONFIG_T::row_width> word_t;
        accum_t part[CONFIG_T::simd];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            const word_t weight = row_word<CONFIG_T>(weights, cycle, p, k);
        Term:
            for (unsigned i = 0; i < CONFIG_T::row_width; i++) {
                #pragma HLS UNROLL
                const unsigned input = k * CONFIG_T::row_width + i;
                if (input < CONFIG_T::simd) {
                    const accum_t term = x[step * CONFIG_T::simd + input];
                    if (weight[i])
                        part[input] = term;
                    else
                        part[input] = -term;
                }
            }
        }
        return adder_tree<CONFIG_T::simd>::template sum<accum_t, accum_t>(part);
    }

    // Adds the inputs of one step.
    template <class data_T, typename CONFIG_T>
    static typename CONFIG_T::accum_t add_inputs(const data_T x[CONFIG_T::in::words],
                                                 unsigned step) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        accum_t part[CONFIG_T::simd];
        #pragma HLS ARRAY_PARTITION variable=part complete
    Term:
        for (unsigned i = 0; i < CONFIG_T::simd; i++) {
            #pragma HLS UNROLL
            part[i] = x[step * CONFIG_T::simd + i];
        }
        return adder_tree<CONFIG_T::simd>::template sum<accum_t, accum_t>(part);
    }

    template <class sum_T, typename CONFIG_T>
    static sum_T inputs(typename CONFIG_T::accum_t total, unsigned) {
        #pragma HLS INLINE
        return total;
    }

    template <class sum_T, typename CONFIG_T>
    static sum_T sum(typename CONFIG_T::accum_t accum, unsigned) {
        #pragma HLS INLINE
        return accum;
    }

    template <typename CONFIG_T>
    static typename CONFIG_T::accum_t level(typename CONFIG_T::accum_t accum, unsigned) {
        #pragma HLS INLINE
        return accum;
    }

    template <class accum_T, class threshold_T>
    static bool reached(accum_T accum, threshold_T threshold) {
        #pragma HLS INLINE
        return accum >= threshold;
    }
};

// The step of the inputs that output `channel` reads. Each group of a convolution's channels has its
// own inputs, and these follow one another.
template <typename CONFIG_T> unsigned step_of(unsigned channel, unsigned step) {
    #pragma HLS INLINE
    if (CONFIG_T::n_groups == 1)
        return step;
    return channel / (CONFIG_T::n_out / CONFIG_T::n_groups) * CONFIG_T::n_steps + step;
}

// How a layer uses its accumulators: begin is called in every step of a fold, give with the
// accumulator of an output in the last one. `numbers` are constants of its outputs.
struct no_inputs {
    template <class data_T, typename CONFIG_T>
    static void begin(typename CONFIG_T::accum_t[CONFIG_T::n_groups],
                      const data_T[CONFIG_T::in::words], unsigned, unsigned) {
        #pragma HLS INLINE
    }
};

// The folds of a layer: pe outputs times simd inputs a cycle.
template <class layer, class data_T, class result_T, class number_T, typename CONFIG_T>
void folds(const data_T x[CONFIG_T::in::words], result_T *y,
           const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights], const number_T *numbers,
           unsigned inside) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::terms terms;
    typedef typename CONFIG_T::accum_t accum_t;
    accum_t accum[CONFIG_T::pe];
    accum_t total[CONFIG_T::n_groups];
    #pragma HLS ARRAY_PARTITION variable=accum complete
    #pragma HLS ARRAY_PARTITION variable=total complete
Fold:
    for (unsigned fold = 0; fold < CONFIG_T::n_folds; fold++) {
    Step:
        for (unsigned step = 0; step < CONFIG_T::n_steps; step++) {
            #pragma HLS PIPELINE II=1
            layer::template begin<data_T, CONFIG_T>(total, x, fold, step);
        Neuron:
            for (unsigned p = 0; p < CONFIG_T::pe; p++) {
                #pragma HLS UNROLL
                const unsigned channel = fold * CONFIG_T::pe + p;
                const accum_t before = step == 0 ? accum_t(0) : accum[p];
                accum[p] = before + terms::template add<data_T, CONFIG_T>(
                                        x, weights, fold * CONFIG_T::n_steps + step,
                                        step_of<CONFIG_T>(channel, step), p);
                if (step == CONFIG_T::n_steps - 1)
                    layer::template give<CONFIG_T>(y, channel, accum[p], total, numbers, inside);
            }
        }
    }
}

struct sums_given : no_inputs {
    template <typename CONFIG_T, class result_T>
    static void give(result_T *y, unsigned channel, typename CONFIG_T::accum_t accum,
                     const typename CONFIG_T::accum_t[CONFIG_T::n_groups], const bool *,
                     unsigned inside) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::terms terms;
        typedef typename CONFIG_T::out out;
        typedef typename out::element_t element_t;
        out::put(y, channel, terms::template sum<element_t, CONFIG_T>(accum, inside));
    }
};

// Dot: y[c] = sum of x[i] times its weight; a bit counts as -1 or +1.
// `inside` of its n_in inputs count: all of them, except where padding adds nothing.
template <class data_T, class res_T, typename CONFIG_T>
void dot(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
         const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
         unsigned inside = CONFIG_T::n_in) {
    const unsigned weight_banks = CONFIG_T::weight_banks;
    #pragma HLS ARRAY_PARTITION variable=weights cyclic factor=weight_banks
    const bool none = false;
    folds<sums_given, data_T, res_T, bool, CONFIG_T>(x, y, weights, &none, inside);
}

template <class data_T, class res_T, typename CONFIG_T>
void dot_unrolled(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                  const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights]) {
    #pragma HLS PIPELINE II=1
    dot<data_T, res_T, CONFIG_T>(x, y, weights);
}

// The number of its channel's thresholds that an accumulator of these terms reaches.
template <class terms, typename CONFIG_T, class accum_T>
typename CONFIG_T::out::element_t
levels_reached(accum_T accum,
               const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
               unsigned channel) {
    #pragma HLS INLINE
    const unsigned first = channel * CONFIG_T::n_levels;
    typedef typename CONFIG_T::out::element_t count_t;
    bool reached[CONFIG_T::n_levels];
    #pragma HLS ARRAY_PARTITION variable=reached complete
Level:
    for (unsigned j = 0; j < CONFIG_T::n_levels; j++) {
        #pragma HLS UNROLL
        reached[j] = terms::reached(accum, thresholds[first + j]);
    }
    return adder_tree<CONFIG_T::n_levels>::template sum<count_t, bool>(reached);
}

struct levels_given : no_inputs {
    template <typename CONFIG_T, class result_T>
    static void give(result_T *level, unsigned channel, typename CONFIG_T::accum_t accum,
                     const typename CONFIG_T::accum_t[CONFIG_T::n_groups],
                     const typename CONFIG_T::threshold_t *thresholds, unsigned inside) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::terms terms;
        level[channel] = levels_reached<terms, CONFIG_T>(
            terms::template level<CONFIG_T>(accum, inside), thresholds, channel);
    }
};

// A Dot and the Threshold that alone reads it: y[c] = how many of the n_levels thresholds of
// channel c its sum reaches. The thresholds are of the accumulator, and rows of falling channels
// have their weights negated, so that a neuron is a count and one comparison a level.
template <class data_T, class res_T, typename CONFIG_T>
void neurons(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
             const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
             const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
             unsigned inside = CONFIG_T::n_in) {
    typedef typename CONFIG_T::out out;
    typedef typename out::element_t element_t;
    typedef typename CONFIG_T::threshold_t threshold_t;
    const unsigned weight_banks = CONFIG_T::weight_banks;
    const unsigned threshold_banks = CONFIG_T::threshold_banks;
    #pragma HLS ARRAY_PARTITION variable=weights cyclic factor=weight_banks
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=threshold_banks
    element_t level[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=level complete
    folds<levels_given, data_T, element_t, threshold_t, CONFIG_T>(x, level, weights, thresholds,
                                                                  inside);
    out::clear(y);
Gather:
    for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
        #pragma HLS UNROLL
        out::put(y, i, level[i]);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void neurons_unrolled(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    neurons<data_T, res_T, CONFIG_T>(x, y, weights, thresholds);
}

} // namespace hwbnn

#endif
