// Dot products with a scale and an offset for each output:
//
//   y[c] = scale[c] * (sum of signed inputs) + offset[c] * (sum of inputs)
//
// The sum of inputs, one for all outputs of a group, is formed beside the first fold and kept. All
// arithmetic is modulo the width of sum_t, which holds every y[c].
#ifndef HWBNN_SCALED_H_
#define HWBNN_SCALED_H_

#include "hwbnn_dot.h"

namespace hwbnn {

// y[c] from the accumulators; factors holds the scale of output c at 2 c, its offset at 2 c + 1.
template <typename CONFIG_T>
typename CONFIG_T::sum_t
scaled(typename CONFIG_T::accum_t accum, typename CONFIG_T::accum_t total,
       const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors], unsigned channel,
       unsigned inside) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::terms terms;
    typedef typename CONFIG_T::sum_t sum_t;
    const sum_t sum = terms::template sum<sum_t, CONFIG_T>(accum, inside);
    const sum_t inputs = terms::template inputs<sum_t, CONFIG_T>(total, inside);
    return factors[2 * channel] * sum + factors[2 * channel + 1] * inputs;
}

struct scaled_sums_given {
    // The sum of the inputs, formed beside the first fold.
    template <class data_T, typename CONFIG_T>
    static void begin(typename CONFIG_T::accum_t total[CONFIG_T::n_groups],
                      const data_T x[CONFIG_T::in::words], unsigned fold, unsigned step) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::terms terms;
        typedef typename CONFIG_T::accum_t accum_t;
        if (fold == 0) {
        Group:
            for (unsigned g = 0; g < CONFIG_T::n_groups; g++) {
                #pragma HLS UNROLL
                const accum_t before = step == 0 ? accum_t(0) : total[g];
                total[g] = before + terms::template add_inputs<data_T, CONFIG_T>(
                                        x, g * CONFIG_T::n_steps + step);
            }
        }
    }

    template <typename CONFIG_T, class result_T>
    static void give(result_T *sum, unsigned channel, typename CONFIG_T::accum_t accum,
                     const typename CONFIG_T::accum_t total[CONFIG_T::n_groups],
                     const typename CONFIG_T::factor_t *factors, unsigned inside) {
        #pragma HLS INLINE
        const unsigned group = step_of<CONFIG_T>(channel, 0) / CONFIG_T::n_steps;
        sum[channel] = scaled<CONFIG_T>(accum, total[group], factors, channel, inside);
    }
};

// The sums of all outputs.
template <class data_T, typename CONFIG_T>
void scaled_sums(const data_T x[CONFIG_T::in::words],
                 typename CONFIG_T::sum_t sum[CONFIG_T::n_out],
                 const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                 const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                 unsigned inside) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::sum_t sum_t;
    typedef typename CONFIG_T::factor_t factor_t;
    const unsigned weight_banks = CONFIG_T::weight_banks;
    const unsigned factor_banks = CONFIG_T::factor_banks;
    #pragma HLS ARRAY_PARTITION variable=weights cyclic factor=weight_banks
    #pragma HLS ARRAY_PARTITION variable=factors cyclic factor=factor_banks
    folds<scaled_sums_given, data_T, sum_t, factor_t, CONFIG_T>(x, sum, weights, factors, inside);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                unsigned inside = CONFIG_T::n_in) {
    typedef typename CONFIG_T::out out;
    typename CONFIG_T::sum_t sum[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=sum complete
    scaled_sums<data_T, CONFIG_T>(x, sum, weights, factors, inside);
Gather:
    for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
        #pragma HLS UNROLL
        out::put(y, i, sum[i]);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot_unrolled(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                         const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                         const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    #pragma HLS PIPELINE II=1
    scaled_dot<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

// Such a Dot and the Threshold that alone reads it. Falling channels have factors of the opposite
// sign, so that every comparison is sum >= threshold.
template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                    const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                    const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                    const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                    unsigned inside = CONFIG_T::n_in) {
    typedef typename CONFIG_T::out out;
    typename CONFIG_T::sum_t sum[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=sum complete
    scaled_sums<data_T, CONFIG_T>(x, sum, weights, factors, inside);
    out::clear(y);
Channel:
    for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
        #pragma HLS UNROLL
        out::put(y, i, levels_reached<integer_terms, CONFIG_T>(sum[i], thresholds, i));
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons_unrolled(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                             const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                             const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                             const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    scaled_neurons<data_T, res_T, CONFIG_T>(x, y, weights, factors, thresholds);
}

} // namespace hwbnn

#endif
