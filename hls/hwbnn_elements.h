// Nodes that compute each element of their value from one element of their source.
//
// In all of them CONFIG_T::in and CONFIG_T::out are the layouts of source and value (hwbnn_layout.h).
// The PIPELINE pragma of the function, or of the top function, unrolls the loops. Constants that all
// runs read at the same places are part of the logic and lie in one bank; those of an image whose
// tokens or places differ lie in as many banks as are read at once.
#ifndef HWBNN_ELEMENTS_H_
#define HWBNN_ELEMENTS_H_

#include "hwbnn_layout.h"
#include "hwbnn_tree.h"

namespace hwbnn {

// Input, Flatten, Output: the same elements, perhaps in another layout.
template <class data_T, class res_T, typename CONFIG_T>
void pass(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Pass:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        out::put(y, i, in::get(x, i));
    }
}

// Select: y[i] = x[positions[i]].
template <class data_T, class res_T, typename CONFIG_T>
void select(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
            const typename CONFIG_T::position_t positions[CONFIG_T::out::size]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Select:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        out::put(y, i, in::get(x, positions[i]));
    }
}

// Encode: y[i * n_levels + j] = x[i] >= thresholds[i * n_levels + j], a bit.
template <class data_T, class res_T, typename CONFIG_T>
void encode(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
            const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Encode:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const bool reached = in::get(x, i / CONFIG_T::n_levels) >= thresholds[i];
        out::put(y, i, reached);
    }
}

// Threshold: the number of its channel's n_levels thresholds that an element passes (channels are the
// last axis). A rising channel passes where x >= threshold, a falling one where x < threshold: its
// x <= t is stored as the threshold t + 1, so that one comparator serves both. In an image x is a part
// of a pixel (hwbnn_tokens.h): element 0 belongs to channel `channel`, and its thresholds begin at
// number `row`.
template <class data_T, class res_T, typename CONFIG_T>
void threshold(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
               const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
               const typename CONFIG_T::falling_t falling[CONFIG_T::n_channels], unsigned channel = 0,
               unsigned row = 0) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    typedef typename out::element_t count_t;
    const unsigned banks = CONFIG_T::banks;
    const unsigned threshold_banks = CONFIG_T::threshold_banks;
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=threshold_banks
    #pragma HLS ARRAY_PARTITION variable=falling cyclic factor=banks
    out::clear(y);
Element:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned c = i % CONFIG_T::n_channels;
        bool passed[CONFIG_T::n_levels];
        #pragma HLS ARRAY_PARTITION variable=passed complete
    Level:
        for (unsigned j = 0; j < CONFIG_T::n_levels; j++) {
            #pragma HLS UNROLL
            const bool reached = in::get(x, i) >= thresholds[(row + c) * CONFIG_T::n_levels + j];
            passed[j] = reached != (falling[channel + c] != 0);
        }
        out::put(y, i, adder_tree<CONFIG_T::n_levels>::template sum<count_t, bool>(passed));
    }
}

// Lookup: y = table[channel][(x - low) / step], with a table for each channel (last axis); element 0
// belongs to channel `channel`.
template <class data_T, class res_T, typename CONFIG_T>
void lookup(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
            const typename CONFIG_T::table_t table[CONFIG_T::n_table], unsigned channel = 0) {
    #pragma HLS PIPELINE II=1
    // One ROM a channel: all channels are read at once.
    const unsigned n_roms = CONFIG_T::n_channels;
    #pragma HLS ARRAY_PARTITION variable=table block factor=n_roms
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Lookup:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned c = channel + i % CONFIG_T::n_channels;
        const typename CONFIG_T::offset_t offset = in::get(x, i) - CONFIG_T::low;
        const unsigned entry = offset.to_uint() / CONFIG_T::step;
        out::put(y, i, table[c * CONFIG_T::n_entries + entry]);
    }
}

// Rescale: y = clip((x * multiplier + offset) >> shift, low, high) with the constants of its channel.
// Where x < 0 the multiplier may be another one (two_slopes). Offsets include the half that rounds.
// Element 0 belongs to channel `channel`, and its offsets begin at number `row`.
template <class data_T, class res_T, typename CONFIG_T>
void rescale(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
             const typename CONFIG_T::multiplier_t multipliers[CONFIG_T::n_channels],
             const typename CONFIG_T::negative_t negatives[CONFIG_T::n_channels],
             const typename CONFIG_T::offset_t offsets[CONFIG_T::n_offsets],
             const typename CONFIG_T::shift_t shifts[CONFIG_T::n_channels], unsigned channel = 0,
             unsigned row = 0) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    typedef typename CONFIG_T::product_t product_t;
    const unsigned banks = CONFIG_T::banks;
    #pragma HLS ARRAY_PARTITION variable=multipliers cyclic factor=banks
    #pragma HLS ARRAY_PARTITION variable=negatives cyclic factor=banks
    #pragma HLS ARRAY_PARTITION variable=offsets cyclic factor=banks
    #pragma HLS ARRAY_PARTITION variable=shifts cyclic factor=banks
Rescale:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned c = i % CONFIG_T::n_channels;
        const typename in::element_t element = in::get(x, i);
        const bool second = CONFIG_T::two_slopes && element < 0;
        const product_t product =
            second ? product_t(element * negatives[channel + c])
                   : product_t(element * multipliers[channel + c]);
        const product_t sum = product + offsets[row + c];
        const product_t scaled = sum >> shifts[channel + c].to_uint();
        if (scaled < product_t(CONFIG_T::low))
            out::put(y, i, CONFIG_T::low);
        else if (scaled > product_t(CONFIG_T::high))
            out::put(y, i, CONFIG_T::high);
        else
            out::put(y, i, scaled);
    }
}

// Add: y = x + z, element by element. Where one of them has fewer elements, each of its elements is
// added to n_channels of the other.
template <class data_T, class other_T, class res_T, typename CONFIG_T>
void add(data_T x[CONFIG_T::in::words], other_T z[CONFIG_T::other::words],
         res_T y[CONFIG_T::out::words]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::other other;
    typedef typename CONFIG_T::out out;
Add:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned left = in::size == out::size ? i : i / CONFIG_T::n_channels;
        const unsigned right = other::size == out::size ? i : i / CONFIG_T::n_channels;
        out::put(y, i, in::get(x, left) + other::get(z, right));
    }
}

// ChannelPad: `before` zeros, the n_channels channels of the source, zeros up to n_padded.
template <class data_T, class res_T, typename CONFIG_T>
void channel_pad(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
Pad:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned channel = i % CONFIG_T::n_padded - CONFIG_T::before; // wraps in front
        const unsigned first = i / CONFIG_T::n_padded * CONFIG_T::n_channels;
        if (channel < CONFIG_T::n_channels)
            out::put(y, i, in::get(x, first + channel));
        else
            out::put(y, i, 0);
    }
}

// Concat: the n_first channels of x, then those of z, n_channels in all.
template <class data_T, class other_T, class res_T, typename CONFIG_T>
void concat(data_T x[CONFIG_T::in::words], other_T z[CONFIG_T::other::words],
            res_T y[CONFIG_T::out::words]) {
    #pragma HLS PIPELINE II=1
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::other other;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Concat:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned channel = i % CONFIG_T::n_channels;
        const unsigned position = i / CONFIG_T::n_channels;
        const unsigned second = CONFIG_T::n_channels - CONFIG_T::n_first;
        if (channel < CONFIG_T::n_first)
            out::put(y, i, in::get(x, position * CONFIG_T::n_first + channel));
        else
            out::put(y, i, other::get(z, position * second + channel - CONFIG_T::n_first));
    }
}

} // namespace hwbnn

#endif
