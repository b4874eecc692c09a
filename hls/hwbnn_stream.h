// io_stream: each node is a dataflow process with streams in and out, around the function that
// computes the node in io_parallel.
//
// Inside the network a frame crosses a stream as one nnet::array that holds all words of the value,
// an image pixel by pixel (hwbnn_tokens.h). At the border it crosses in beats of fewer elements
// (from_beats, to_beats).
#ifndef HWBNN_STREAM_H_
#define HWBNN_STREAM_H_

#include "hls_stream.h"
#include "hwbnn_argmax.h"
#include "hwbnn_dot.h"
#include "hwbnn_elements.h"
#include "hwbnn_scaled.h"
#include "hwbnn_weighted.h"
#include "nnet_types.h"

namespace hwbnn {

// One frame, or one beat of it, from a stream to the words that begin at `first`; and back.
template <class beat_T, unsigned WORDS>
void receive(hls::stream<beat_T> &x, typename beat_T::value_type frame[WORDS], unsigned first) {
    #pragma HLS INLINE
    const beat_T beat = x.read();
Receive:
    for (unsigned i = 0; i < beat_T::size; i++) {
        #pragma HLS UNROLL
        frame[first + i] = beat[i];
    }
}

template <class beat_T, unsigned WORDS>
void send(const typename beat_T::value_type frame[WORDS], hls::stream<beat_T> &y, unsigned first) {
    #pragma HLS INLINE
    beat_T beat;
Send:
    for (unsigned i = 0; i < beat_T::size; i++) {
        #pragma HLS UNROLL
        beat[i] = frame[first + i];
    }
    y.write(beat);
}

// All beats of a frame.
template <class beat_T, unsigned WORDS>
void receive_all(hls::stream<beat_T> &x, typename beat_T::value_type frame[WORDS]) {
    #pragma HLS INLINE
Beat:
    for (unsigned i = 0; i < WORDS / beat_T::size; i++) {
        #pragma HLS PIPELINE II=1
        receive<beat_T, WORDS>(x, frame, i * beat_T::size);
    }
}

template <class beat_T, unsigned WORDS>
void send_all(const typename beat_T::value_type frame[WORDS], hls::stream<beat_T> &y) {
    #pragma HLS INLINE
Beat:
    for (unsigned i = 0; i < WORDS / beat_T::size; i++) {
        #pragma HLS PIPELINE II=1
        send<beat_T, WORDS>(frame, y, i * beat_T::size);
    }
}

// The words of a frame, or of one token of it, in front of a node's function and behind it.
template <class data_T, class res_T, typename CONFIG_T> struct frame_words {
    typename data_T::value_type source[CONFIG_T::in::words];
    typename res_T::value_type value[CONFIG_T::out::words];

    frame_words() {
        #pragma HLS INLINE
        #pragma HLS ARRAY_PARTITION variable=source complete
        #pragma HLS ARRAY_PARTITION variable=value complete
    }

    void fill(hls::stream<data_T> &x) {
        #pragma HLS INLINE
        receive_all<data_T, CONFIG_T::in::words>(x, source);
    }

    void drain(hls::stream<res_T> &y) const {
        #pragma HLS INLINE
        send_all<res_T, CONFIG_T::out::words>(value, y);
    }
};

// Input: the frame's beats, then the layout of the value.
template <class data_T, class res_T, typename CONFIG_T>
void from_beats(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

// Output: one element a word, then the frame's beats.
template <class data_T, class res_T, typename CONFIG_T>
void to_beats(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void pass_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void select_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   typename CONFIG_T::position_t positions[CONFIG_T::out::size]) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    select<source_t, value_t, CONFIG_T>(frame.source, frame.value, positions);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void encode_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    encode<source_t, value_t, CONFIG_T>(frame.source, frame.value, thresholds);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void threshold_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                      typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                      typename CONFIG_T::falling_t falling[CONFIG_T::n_channels]) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    threshold<source_t, value_t, CONFIG_T>(frame.source, frame.value, thresholds, falling);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void lookup_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   typename CONFIG_T::table_t table[CONFIG_T::n_table]) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    lookup<source_t, value_t, CONFIG_T>(frame.source, frame.value, table);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void rescale_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                    typename CONFIG_T::multiplier_t multipliers[CONFIG_T::n_channels],
                    typename CONFIG_T::negative_t negatives[CONFIG_T::n_channels],
                    typename CONFIG_T::offset_t offsets[CONFIG_T::n_offsets],
                    typename CONFIG_T::shift_t shifts[CONFIG_T::n_channels]) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    rescale<source_t, value_t, CONFIG_T>(frame.source, frame.value, multipliers, negatives, offsets,
                                         shifts);
    frame.drain(y);
}

template <class data_T, class other_T, class res_T, typename CONFIG_T>
void add_stream(hls::stream<data_T> &x, hls::stream<other_T> &z, hls::stream<res_T> &y) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    source_t source[CONFIG_T::in::words];
    other_t other[CONFIG_T::other::words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=other complete
    #pragma HLS ARRAY_PARTITION variable=value complete
    receive<data_T, CONFIG_T::in::words>(x, source, 0);
    receive<other_T, CONFIG_T::other::words>(z, other, 0);
    add<source_t, other_t, value_t, CONFIG_T>(source, other, value);
    send<res_T, CONFIG_T::out::words>(value, y, 0);
}

template <class data_T, class other_T, class res_T, typename CONFIG_T>
void concat_stream(hls::stream<data_T> &x, hls::stream<other_T> &z, hls::stream<res_T> &y) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    source_t source[CONFIG_T::in::words];
    other_t other[CONFIG_T::other::words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=other complete
    #pragma HLS ARRAY_PARTITION variable=value complete
    receive<data_T, CONFIG_T::in::words>(x, source, 0);
    receive<other_T, CONFIG_T::other::words>(z, other, 0);
    concat<source_t, other_t, value_t, CONFIG_T>(source, other, value);
    send<res_T, CONFIG_T::out::words>(value, y, 0);
}

template <class data_T, class res_T, typename CONFIG_T>
void channel_pad_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    channel_pad<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void argmax_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    #pragma HLS PIPELINE II=1
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    argmax<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

// Folds are pipelined inside, so the functions around them are not. A frame that was an image arrives
// as the tokens of its pixels (hwbnn_tokens.h).
template <class data_T, class res_T, typename CONFIG_T>
void dot_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                typename CONFIG_T::weight_t weights[CONFIG_T::n_weights]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    dot<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void neurons_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                    typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                    typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    neurons<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, thresholds);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                       typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                       typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    scaled_dot<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, factors);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                           typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                           typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                           typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    scaled_neurons<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, factors,
                                                thresholds);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void weighted_dot_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                         typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                         typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    weighted_dot<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, factors);
    frame.drain(y);
}

// Unrolled: a pipelined function unrolls the folds inside it.
template <class data_T, class res_T, typename CONFIG_T>
void dot_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                         typename CONFIG_T::weight_t weights[CONFIG_T::n_weights]) {
    #pragma HLS PIPELINE II=1
    dot_stream<data_T, res_T, CONFIG_T>(x, y, weights);
}

template <class data_T, class res_T, typename CONFIG_T>
void neurons_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                             typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                             typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    neurons_stream<data_T, res_T, CONFIG_T>(x, y, weights, thresholds);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    #pragma HLS PIPELINE II=1
    scaled_dot_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                    typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                    typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                                    typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    #pragma HLS PIPELINE II=1
    scaled_neurons_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors, thresholds);
}

template <class data_T, class res_T, typename CONFIG_T>
void weighted_dot_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                  typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                  typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    #pragma HLS PIPELINE II=1
    weighted_dot_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

} // namespace hwbnn

#endif
