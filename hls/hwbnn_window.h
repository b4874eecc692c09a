// A window that slides over an image, row by row, one place at a time.
//
// The pixels of the image arrive in order; line buffers keep its last rows. The window walks over a
// grid of grid_rows x grid_columns places: the image, `rows` x `columns` pixels that begin at row
// `top` and column `left`, and the padding around it. When the window is at place (row, column), this
// place is its last pixel, the lower right corner.
//
// A pixel is pixel_words words, which arrive in tokens of data_T::size words. Places outside the
// image have the pixel `fills`.
#ifndef HWBNN_WINDOW_H_
#define HWBNN_WINDOW_H_

#include "hls_stream.h"
#include "hwbnn_stream.h"
#include "hwbnn_tree.h"

namespace hwbnn {

// Whether tap (ky, kx) of the window at a grid place lies inside the image.
template <typename CONFIG_T>
bool inside(unsigned row, unsigned column, unsigned ky, unsigned kx) {
    #pragma HLS INLINE
    // Places in front of the image wrap to large numbers.
    const unsigned y = row + ky - (CONFIG_T::kernel_rows - 1) - CONFIG_T::top;
    const unsigned x = column + kx - (CONFIG_T::kernel_columns - 1) - CONFIG_T::left;
    return y < CONFIG_T::rows && x < CONFIG_T::columns;
}

// How many taps of the window lie inside the image.
template <typename CONFIG_T> unsigned taps_inside(unsigned row, unsigned column) {
    #pragma HLS INLINE
    bool counts[CONFIG_T::n_taps];
    #pragma HLS ARRAY_PARTITION variable=counts complete
Row:
    for (unsigned ky = 0; ky < CONFIG_T::kernel_rows; ky++) {
        #pragma HLS UNROLL
    Column:
        for (unsigned kx = 0; kx < CONFIG_T::kernel_columns; kx++) {
            #pragma HLS UNROLL
            counts[ky * CONFIG_T::kernel_columns + kx] = inside<CONFIG_T>(row, column, ky, kx);
        }
    }
    return adder_tree<CONFIG_T::n_taps>::template sum<unsigned, bool>(counts);
}

// Whether the output has a pixel for the window at a grid place: it is whole, and on the strides.
template <typename CONFIG_T> bool emits(unsigned row, unsigned column) {
    #pragma HLS INLINE
    const unsigned y = row - (CONFIG_T::kernel_rows - 1);
    const unsigned x = column - (CONFIG_T::kernel_columns - 1);
    return y < CONFIG_T::grid_rows && x < CONFIG_T::grid_columns &&
           y % CONFIG_T::stride_rows == 0 && x % CONFIG_T::stride_columns == 0;
}

// Moves the window to a grid place, which is the right neighbour of the last one or begins a row.
// Its words are those of its taps, row by row.
template <class data_T, typename CONFIG_T>
void slide(hls::stream<data_T> &x,
           typename data_T::value_type lines[CONFIG_T::n_lines][CONFIG_T::columns]
                                            [CONFIG_T::pixel_words],
           typename data_T::value_type window[CONFIG_T::window_words],
           const typename CONFIG_T::fill_t fills[CONFIG_T::pixel_words], unsigned row,
           unsigned column) {
    #pragma HLS INLINE
    typedef typename data_T::value_type word_t;
    static const unsigned tap_words = CONFIG_T::pixel_words;
    static const unsigned row_words = CONFIG_T::kernel_columns * tap_words;
    word_t pixel[tap_words];
    #pragma HLS ARRAY_PARTITION variable=pixel complete
    const unsigned at = column - CONFIG_T::left;
    if (row - CONFIG_T::top < CONFIG_T::rows && at < CONFIG_T::columns)
        receive_all<data_T, tap_words>(x, pixel);
Row:
    for (unsigned ky = 0; ky < CONFIG_T::kernel_rows; ky++) {
        #pragma HLS UNROLL
        const unsigned first = ky * row_words;
        const unsigned last = first + row_words - tap_words;
        const bool within = inside<CONFIG_T>(row, column, ky, CONFIG_T::kernel_columns - 1);
    Shift:
        for (unsigned k = 0; k < row_words - tap_words; k++) {
            #pragma HLS UNROLL
            window[first + k] = window[first + k + tap_words];
        }
    Enter:
        for (unsigned k = 0; k < tap_words; k++) {
            #pragma HLS UNROLL
            if (!within)
                window[last + k] = fills[k];
            else if (ky == CONFIG_T::kernel_rows - 1)
                window[last + k] = pixel[k];
            else
                window[last + k] = lines[ky][at][k];
        }
    }
    if (at < CONFIG_T::columns) {
    Line:
        for (unsigned ky = 0; ky < CONFIG_T::kernel_rows - 1; ky++) {
            #pragma HLS UNROLL
        Keep:
            for (unsigned k = 0; k < tap_words; k++) {
                #pragma HLS UNROLL
                if (ky == CONFIG_T::kernel_rows - 2)
                    lines[ky][at][k] = pixel[k];
                else
                    lines[ky][at][k] = lines[ky + 1][at][k];
            }
        }
    }
}

} // namespace hwbnn

#endif
