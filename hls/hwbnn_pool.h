// MaxPool and SumPool: one pixel from the taps of a window (hwbnn_window.h), channel by channel.
//
// CONFIG_T::in and CONFIG_T::out are the layouts of one pixel, CONFIG_T::pool is the kind of pool.
#ifndef HWBNN_POOL_H_
#define HWBNN_POOL_H_

#include "hwbnn_tree.h"
#include "hwbnn_window.h"

namespace hwbnn {

// The largest of bits is the OR of their codes. Where `smallest` is 1, the smallest is wanted, which
// is the AND: the inverted OR of the inverted codes. Words outside the image are `smallest` itself, so
// they never win.
struct bit_max_pool {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(const data_T window[CONFIG_T::window_words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::smallest_t smallest[CONFIG_T::pixel_words],
                      unsigned) {
        #pragma HLS INLINE
    Word:
        for (unsigned k = 0; k < CONFIG_T::pixel_words; k++) {
            #pragma HLS UNROLL
            data_T any = 0;
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::n_taps; tap++) {
                #pragma HLS UNROLL
                const data_T seen = window[tap * CONFIG_T::pixel_words + k];
                any |= seen ^ smallest[k];
            }
            y[k] = any ^ smallest[k];
        }
    }
};

// The largest integer; the smallest where `smallest` is 1. Taps outside the image never win.
struct max_pool {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(const data_T window[CONFIG_T::window_words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::smallest_t smallest[CONFIG_T::pixel_words],
                      unsigned) {
        #pragma HLS INLINE
    Channel:
        for (unsigned k = 0; k < CONFIG_T::pixel_words; k++) {
            #pragma HLS UNROLL
            data_T best = window[k];
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::n_taps; tap++) {
                #pragma HLS UNROLL
                const data_T seen = window[tap * CONFIG_T::pixel_words + k];
                if (smallest[k] != 0 ? seen < best : seen > best)
                    best = seen;
            }
            y[k] = best;
        }
    }
};

// The sum of integers; those outside are 0.
struct sum_pool {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(const data_T window[CONFIG_T::window_words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::smallest_t[CONFIG_T::pixel_words], unsigned) {
        #pragma HLS INLINE
    Channel:
        for (unsigned k = 0; k < CONFIG_T::pixel_words; k++) {
            #pragma HLS UNROLL
            typedef typename CONFIG_T::sum_t sum_t;
            sum_t seen[CONFIG_T::n_taps];
            #pragma HLS ARRAY_PARTITION variable=seen complete
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::n_taps; tap++) {
                #pragma HLS UNROLL
                seen[tap] = window[tap * CONFIG_T::pixel_words + k];
            }
            y[k] = adder_tree<CONFIG_T::n_taps>::template sum<sum_t, sum_t>(seen);
        }
    }
};

// The sum of bits as -1 and +1: of n inside k are +1. The codes outside are 0.
struct bit_sum_pool {
    template <class data_T, class res_T, typename CONFIG_T>
    static void apply(const data_T window[CONFIG_T::window_words], res_T y[CONFIG_T::out::words],
                      const typename CONFIG_T::smallest_t[CONFIG_T::pixel_words], unsigned taps) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::in in;
    Channel:
        for (unsigned c = 0; c < CONFIG_T::out::size; c++) {
            #pragma HLS UNROLL
            typedef typename CONFIG_T::sum_t sum_t;
            bool plus[CONFIG_T::n_taps];
            #pragma HLS ARRAY_PARTITION variable=plus complete
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::n_taps; tap++) {
                #pragma HLS UNROLL
                plus[tap] = window[tap * CONFIG_T::pixel_words + in::word(c)][in::bit(c)];
            }
            const sum_t count = adder_tree<CONFIG_T::n_taps>::template sum<sum_t, bool>(plus);
            y[c] = 2 * count.to_int() - int(taps);
        }
    }
};

template <class data_T, class res_T, typename CONFIG_T>
void pool_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                 const typename CONFIG_T::fill_t fills[CONFIG_T::pixel_words],
                 const typename CONFIG_T::smallest_t smallest[CONFIG_T::pixel_words]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    typedef typename CONFIG_T::pool pool;
    const unsigned interval = CONFIG_T::interval;
    source_t lines[CONFIG_T::n_lines][CONFIG_T::columns][CONFIG_T::pixel_words];
    source_t window[CONFIG_T::window_words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete
    #pragma HLS ARRAY_PARTITION variable=value complete
Row:
    for (unsigned row = 0; row < CONFIG_T::grid_rows; row++) {
    Column:
        for (unsigned column = 0; column < CONFIG_T::grid_columns; column++) {
            #pragma HLS PIPELINE II=interval
            slide<data_T, CONFIG_T>(x, lines, window, fills, row, column);
            if (emits<CONFIG_T>(row, column)) {
                pool::template apply<source_t, value_t, CONFIG_T>(
                    window, value, smallest, taps_inside<CONFIG_T>(row, column));
                send_all<res_T, CONFIG_T::out::words>(value, y);
            }
        }
    }
}

} // namespace hwbnn

#endif
