// Conv2d: at each place of a window (hwbnn_window.h) the dot products of a dense layer, whose frame
// is the window.
//
// CONFIG_T::in is the layout of the words that a dot product reads: the taps of the first group of
// channels, row by row, then those of the next group, and so on; masked_terms has as many words of
// masks behind them. CONFIG_T::layer is the function that computes the products.
#ifndef HWBNN_CONV_H_
#define HWBNN_CONV_H_

#include "hwbnn_dot.h"
#include "hwbnn_scaled.h"
#include "hwbnn_weighted.h"
#include "hwbnn_window.h"

namespace hwbnn {

// The kinds of layers; each takes the constants that it needs, and ignores the others.
struct dot_layer {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::factor_t[CONFIG_T::n_factors],
                      const typename CONFIG_T::threshold_t[CONFIG_T::n_thresholds], unsigned inside) {
        #pragma HLS INLINE
        dot<data_T, res_T, CONFIG_T>(x, y, weights, inside);
    }
};

struct neurons_layer {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::factor_t[CONFIG_T::n_factors],
                      const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                      unsigned inside) {
        #pragma HLS INLINE
        neurons<data_T, res_T, CONFIG_T>(x, y, weights, thresholds, inside);
    }
};

struct scaled_dot_layer {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                      const typename CONFIG_T::threshold_t[CONFIG_T::n_thresholds], unsigned inside) {
        #pragma HLS INLINE
        scaled_dot<data_T, res_T, CONFIG_T>(x, y, weights, factors, inside);
    }
};

struct scaled_neurons_layer {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                      const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                      unsigned inside) {
        #pragma HLS INLINE
        scaled_neurons<data_T, res_T, CONFIG_T>(x, y, weights, factors, thresholds, inside);
    }
};

struct weighted_dot_layer {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                      const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                      const typename CONFIG_T::threshold_t[CONFIG_T::n_thresholds], unsigned) {
        #pragma HLS INLINE
        weighted_dot<data_T, res_T, CONFIG_T>(x, y, weights, factors);
    }
};

// The words that a dot product reads of a window, group by group, and the masks of its taps.
template <class word_T, typename CONFIG_T>
void arrange(const word_T window[CONFIG_T::window_words], word_T x[CONFIG_T::in::words],
             const typename CONFIG_T::mask_t masks[CONFIG_T::tap_words], unsigned row,
             unsigned column) {
    #pragma HLS INLINE
    static const unsigned tap_words = CONFIG_T::tap_words;
Group:
    for (unsigned g = 0; g < CONFIG_T::n_groups; g++) {
        #pragma HLS UNROLL
    Row:
        for (unsigned ky = 0; ky < CONFIG_T::kernel_rows; ky++) {
            #pragma HLS UNROLL
        Column:
            for (unsigned kx = 0; kx < CONFIG_T::kernel_columns; kx++) {
                #pragma HLS UNROLL
                const unsigned tap = ky * CONFIG_T::kernel_columns + kx;
                const unsigned to =
                    (g * CONFIG_T::kernel_rows * CONFIG_T::kernel_columns + tap) * tap_words;
                const unsigned from = tap * CONFIG_T::pixel_words + g * tap_words;
                const bool counts = inside<CONFIG_T>(row, column, ky, kx);
            Word:
                for (unsigned k = 0; k < tap_words; k++) {
                    #pragma HLS UNROLL
                    x[to + k] = window[from + k];
                    if (CONFIG_T::masked && counts)
                        x[CONFIG_T::window_words + to + k] = masks[k];
                    if (CONFIG_T::masked && !counts)
                        x[CONFIG_T::window_words + to + k] = 0;
                }
            }
        }
    }
}

// One place of the grid: the window moves there; where the output has a pixel, it is computed.
template <class data_T, class res_T, typename CONFIG_T>
void conv_place(hls::stream<data_T> &x, hls::stream<res_T> &y,
                typename data_T::value_type lines[CONFIG_T::n_lines][CONFIG_T::columns]
                                                 [CONFIG_T::pixel_words],
                typename data_T::value_type window[CONFIG_T::window_words],
                const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                const typename CONFIG_T::fill_t fills[CONFIG_T::pixel_words],
                const typename CONFIG_T::mask_t masks[CONFIG_T::tap_words], unsigned row,
                unsigned column) {
    #pragma HLS INLINE
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    typedef typename CONFIG_T::layer layer;
    source_t source[CONFIG_T::in::words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=value complete
    slide<data_T, CONFIG_T>(x, lines, window, fills, row, column);
    if (emits<CONFIG_T>(row, column)) {
        arrange<source_t, CONFIG_T>(window, source, masks, row, column);
        const unsigned counting =
            CONFIG_T::masked ? taps_inside<CONFIG_T>(row, column) * CONFIG_T::n_depth
                             : CONFIG_T::n_in;
        layer::template apply<source_t, value_t, CONFIG_T>(source, value, weights, factors,
                                                           thresholds, counting);
        send_all<res_T, CONFIG_T::out::words>(value, y);
    }
}

// Folded: the folds of a place are pipelined; the next place begins after them.
template <class data_T, class res_T, typename CONFIG_T>
void conv_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                 const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                 const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                 const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                 const typename CONFIG_T::fill_t fills[CONFIG_T::pixel_words],
                 const typename CONFIG_T::mask_t masks[CONFIG_T::tap_words]) {
    typedef typename data_T::value_type source_t;
    source_t lines[CONFIG_T::n_lines][CONFIG_T::columns][CONFIG_T::pixel_words];
    source_t window[CONFIG_T::window_words];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete
Row:
    for (unsigned row = 0; row < CONFIG_T::grid_rows; row++) {
    Column:
        for (unsigned column = 0; column < CONFIG_T::grid_columns; column++) {
            #pragma HLS LOOP_FLATTEN off
            conv_place<data_T, res_T, CONFIG_T>(x, y, lines, window, weights, factors, thresholds,
                                                fills, masks, row, column);
        }
    }
}

// Unrolled: a place a cycle, if a pixel is one token.
template <class data_T, class res_T, typename CONFIG_T>
void conv_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                          const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                          const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                          const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                          const typename CONFIG_T::fill_t fills[CONFIG_T::pixel_words],
                          const typename CONFIG_T::mask_t masks[CONFIG_T::tap_words]) {
    typedef typename data_T::value_type source_t;
    const unsigned interval = CONFIG_T::interval;
    source_t lines[CONFIG_T::n_lines][CONFIG_T::columns][CONFIG_T::pixel_words];
    source_t window[CONFIG_T::window_words];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete
Row:
    for (unsigned row = 0; row < CONFIG_T::grid_rows; row++) {
    Column:
        for (unsigned column = 0; column < CONFIG_T::grid_columns; column++) {
            #pragma HLS PIPELINE II=interval
            conv_place<data_T, res_T, CONFIG_T>(x, y, lines, window, weights, factors, thresholds,
                                                fills, masks, row, column);
        }
    }
}

} // namespace hwbnn

#endif
