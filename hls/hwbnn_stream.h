// io_stream: each node is a dataflow process with streams in and out, around the function that
// computes the node in io_parallel.
//
// A frame crosses a stream in tokens, nnet::arrays of words: in one token, or in as many as it takes
// to have at most 4,096 bits in each; an image pixel by pixel (hwbnn_tokens.h). CONFIG_T::interval is
// the most tokens that a function reads or writes in a frame on one stream. hwbnn_axis.h has the beats
// at the ports of the top function.
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

// One token, from a stream to the words of a value that begin at `first`; and back. Where the words
// of a value do not fill its tokens, the last token ends with zeros.
template <class token_T, unsigned WORDS>
void receive(hls::stream<token_T> &x, typename token_T::value_type value[WORDS], unsigned first) {
    #pragma HLS INLINE
    const token_T token = x.read();
Receive:
    for (unsigned i = 0; i < token_T::size; i++) {
        #pragma HLS UNROLL
        if (first + i < WORDS)
            value[first + i] = token[i];
    }
}

template <class token_T, unsigned WORDS>
void send(const typename token_T::value_type value[WORDS], hls::stream<token_T> &y, unsigned first) {
    #pragma HLS INLINE
    token_T token;
Send:
    for (unsigned i = 0; i < token_T::size; i++) {
        #pragma HLS UNROLL
        if (first + i < WORDS)
            token[i] = value[first + i];
        else
            token[i] = 0;
    }
    y.write(token);
}

// All tokens of a value.
template <class token_T, unsigned WORDS>
void receive_all(hls::stream<token_T> &x, typename token_T::value_type value[WORDS]) {
    #pragma HLS INLINE
    static const unsigned tokens = (WORDS + token_T::size - 1) / token_T::size;
Token:
    for (unsigned i = 0; i < tokens; i++) {
        #pragma HLS PIPELINE II=1
        receive<token_T, WORDS>(x, value, i * token_T::size);
    }
}

template <class token_T, unsigned WORDS>
void send_all(const typename token_T::value_type value[WORDS], hls::stream<token_T> &y) {
    #pragma HLS INLINE
    static const unsigned tokens = (WORDS + token_T::size - 1) / token_T::size;
Token:
    for (unsigned i = 0; i < tokens; i++) {
        #pragma HLS PIPELINE II=1
        send<token_T, WORDS>(value, y, i * token_T::size);
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

// Input: elements as the top function's border gives them (hwbnn_axis.h), then the layout of the value.
template <class data_T, class res_T, typename CONFIG_T>
void from_elements(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename res_T::value_type value_t;
    typedef typename CONFIG_T::out out;
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=value complete
    out::clear(value);
Token:
    for (unsigned t = 0; t < CONFIG_T::out::size / data_T::size; t++) {
        #pragma HLS UNROLL
        const data_T token = x.read();
    Element:
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            out::put(value, t * data_T::size + i, token[i]);
        }
    }
    send_all<res_T, CONFIG_T::out::words>(value, y);
}

// Output: the elements of the value, one by one.
template <class data_T, class res_T, typename CONFIG_T>
void to_elements(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename CONFIG_T::in in;
    source_t source[CONFIG_T::in::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    receive_all<data_T, CONFIG_T::in::words>(x, source);
Token:
    for (unsigned t = 0; t < CONFIG_T::in::size / res_T::size; t++) {
        #pragma HLS UNROLL
        res_T token;
    Element:
        for (unsigned i = 0; i < res_T::size; i++) {
            #pragma HLS UNROLL
            token[i] = in::get(source, t * res_T::size + i);
        }
        y.write(token);
    }
}

// Flatten, where an image becomes one frame: its tokens, then the layout of the value.
template <class data_T, class res_T, typename CONFIG_T>
void gather(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void pass_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void select_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   const typename CONFIG_T::position_t positions[CONFIG_T::out::size]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    select<source_t, value_t, CONFIG_T>(frame.source, frame.value, positions);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void encode_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    encode<source_t, value_t, CONFIG_T>(frame.source, frame.value, thresholds);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void threshold_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                      const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                      const typename CONFIG_T::falling_t falling[CONFIG_T::n_channels]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    threshold<source_t, value_t, CONFIG_T>(frame.source, frame.value, thresholds, falling);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void lookup_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   const typename CONFIG_T::table_t table[CONFIG_T::n_table]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    lookup<source_t, value_t, CONFIG_T>(frame.source, frame.value, table);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void rescale_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                    const typename CONFIG_T::multiplier_t multipliers[CONFIG_T::n_channels],
                    const typename CONFIG_T::negative_t negatives[CONFIG_T::n_channels],
                    const typename CONFIG_T::offset_t offsets[CONFIG_T::n_offsets],
                    const typename CONFIG_T::shift_t shifts[CONFIG_T::n_channels]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
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
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    source_t source[CONFIG_T::in::words];
    other_t other[CONFIG_T::other::words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=other complete
    #pragma HLS ARRAY_PARTITION variable=value complete
    receive_all<data_T, CONFIG_T::in::words>(x, source);
    receive_all<other_T, CONFIG_T::other::words>(z, other);
    add<source_t, other_t, value_t, CONFIG_T>(source, other, value);
    send_all<res_T, CONFIG_T::out::words>(value, y);
}

template <class data_T, class other_T, class res_T, typename CONFIG_T>
void concat_stream(hls::stream<data_T> &x, hls::stream<other_T> &z, hls::stream<res_T> &y) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    source_t source[CONFIG_T::in::words];
    other_t other[CONFIG_T::other::words];
    value_t value[CONFIG_T::out::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=other complete
    #pragma HLS ARRAY_PARTITION variable=value complete
    receive_all<data_T, CONFIG_T::in::words>(x, source);
    receive_all<other_T, CONFIG_T::other::words>(z, other);
    concat<source_t, other_t, value_t, CONFIG_T>(source, other, value);
    send_all<res_T, CONFIG_T::out::words>(value, y);
}

template <class data_T, class res_T, typename CONFIG_T>
void channel_pad_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    channel_pad<source_t, value_t, CONFIG_T>(frame.source, frame.value);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void argmax_stream(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
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
                const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    dot<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void neurons_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                    const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                    const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    neurons<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, thresholds);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                       const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                       const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    frame_words<data_T, res_T, CONFIG_T> frame;
    frame.fill(x);
    scaled_dot<source_t, value_t, CONFIG_T>(frame.source, frame.value, weights, factors);
    frame.drain(y);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                           const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                           const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                           const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
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
                         const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                         const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
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
                         const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    dot_stream<data_T, res_T, CONFIG_T>(x, y, weights);
}

template <class data_T, class res_T, typename CONFIG_T>
void neurons_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                             const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                             const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    neurons_stream<data_T, res_T, CONFIG_T>(x, y, weights, thresholds);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_dot_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    scaled_dot_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

template <class data_T, class res_T, typename CONFIG_T>
void scaled_neurons_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                    const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                    const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors],
                                    const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    scaled_neurons_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors, thresholds);
}

template <class data_T, class res_T, typename CONFIG_T>
void weighted_dot_unrolled_stream(hls::stream<data_T> &x, hls::stream<res_T> &y,
                                  const typename CONFIG_T::weight_t weights[CONFIG_T::n_weights],
                                  const typename CONFIG_T::factor_t factors[CONFIG_T::n_factors]) {
    const unsigned interval = CONFIG_T::interval;
    #pragma HLS PIPELINE II=interval
    weighted_dot_stream<data_T, res_T, CONFIG_T>(x, y, weights, factors);
}

} // namespace hwbnn

#endif
