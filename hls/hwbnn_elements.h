// Nodes that make each element of their value from one element of their source.
//
// Common to all: CONFIG_T::in and CONFIG_T::out are the layouts of source and value
// (hwbnn_layout.h). The loops are unrolled by the PIPELINE pragma of the function, or by that of
// the top function where it has one.
#ifndef HWBNN_ELEMENTS_H_
#define HWBNN_ELEMENTS_H_

#include "hwbnn_layout.h"

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
            typename CONFIG_T::position_t positions[CONFIG_T::out::size]) {
    #pragma HLS PIPELINE II=1
    #pragma HLS ARRAY_PARTITION variable=positions complete
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
            typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    #pragma HLS ARRAY_PARTITION variable=thresholds complete
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

// Threshold: how many of the n_levels thresholds of its channel (last axis) an element passes.
// Rising channels pass at x >= threshold. Falling ones pass below it: their x <= t is stored as
// threshold t + 1, so that one comparator serves both directions.
template <class data_T, class res_T, typename CONFIG_T>
void threshold(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
               typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
               typename CONFIG_T::falling_t falling[CONFIG_T::n_channels]) {
    #pragma HLS PIPELINE II=1
    #pragma HLS ARRAY_PARTITION variable=thresholds complete
    #pragma HLS ARRAY_PARTITION variable=falling complete
    typedef typename CONFIG_T::in in;
    typedef typename CONFIG_T::out out;
    out::clear(y);
Element:
    for (unsigned i = 0; i < out::size; i++) {
        #pragma HLS UNROLL
        const unsigned channel = i % CONFIG_T::n_channels;
        typename out::element_t passed = 0;
    Level:
        for (unsigned j = 0; j < CONFIG_T::n_levels; j++) {
            #pragma HLS UNROLL
            const bool reached = in::get(x, i) >= thresholds[channel * CONFIG_T::n_levels + j];
            passed += reached != (falling[channel] != 0);
        }
        out::put(y, i, passed);
    }
}

// Lookup: y = table[channel][(x - low) / step] of the table of its channel (last axis).
template <class data_T, class res_T, typename CONFIG_T>
void lookup(data_T x[CONFIG_T::in::words], res_T y[CONFIG_T::out::words],
            typename CONFIG_T::table_t table[CONFIG_T::n_table]) {
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
        const unsigned channel = i % CONFIG_T::n_channels;
        const typename CONFIG_T::offset_t offset = in::get(x, i) - CONFIG_T::low;
        const unsigned entry = offset.to_uint() / CONFIG_T::step;
        out::put(y, i, table[channel * CONFIG_T::n_entries + entry]);
    }
}

} // namespace hwbnn

#endif
