// io_stream, images: element-wise nodes over the tokens of an image.
//
// An image crosses a stream row by row, pixel by pixel; a pixel is n_chunks tokens with the same number
// of channels each. CONFIG_T::in and CONFIG_T::out are the layouts of one token.
#ifndef HWBNN_TOKENS_H_
#define HWBNN_TOKENS_H_

#include "hls_stream.h"
#include "hwbnn_elements.h"
#include "hwbnn_stream.h"

namespace hwbnn {

// Input: each token from its beats; Output: the beats of each token.
template <class data_T, class res_T, typename CONFIG_T>
void cut_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    // On the side of the network a token is read or written at once.
    const unsigned taken = CONFIG_T::in::words / data_T::size;
    const unsigned given = CONFIG_T::out::words / res_T::size;
    const unsigned interval = taken > given ? taken : given;
    frame_words<data_T, res_T, CONFIG_T> frame;
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=interval
        frame.fill(x);
        pass<source_t, value_t, CONFIG_T>(frame.source, frame.value);
        frame.drain(y);
    }
}

// Flatten: the same tokens in the same order.
template <class data_T, class res_T, typename CONFIG_T>
void pass_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type word_t;
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        word_t words[CONFIG_T::in::words];
        #pragma HLS ARRAY_PARTITION variable=words complete
        receive<data_T, CONFIG_T::in::words>(x, words, 0);
        send<res_T, CONFIG_T::in::words>(words, y, 0);
    }
}

// Two readers of one value: every token goes to both.
template <class data_T, class res_T, typename CONFIG_T>
void fork_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y, hls::stream<res_T> &z) {
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        const data_T token = x.read();
        y.write(token);
        z.write(token);
    }
}

// The class of a place of the image; where there are no classes, places is a single 0.
template <typename CONFIG_T>
unsigned class_of(const typename CONFIG_T::place_t places[CONFIG_T::n_places], unsigned token) {
    #pragma HLS INLINE
    const unsigned place = CONFIG_T::n_places == 1 ? 0 : token / CONFIG_T::n_chunks;
    return places[place].to_uint();
}

template <class data_T, class res_T, typename CONFIG_T>
void threshold_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y,
                      const typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_thresholds],
                      const typename CONFIG_T::falling_t falling[CONFIG_T::n_channels],
                      const typename CONFIG_T::place_t places[CONFIG_T::n_places]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        frame_words<data_T, res_T, CONFIG_T> frame;
        const unsigned channel = t % CONFIG_T::n_chunks * CONFIG_T::in::size;
        const unsigned row = class_of<CONFIG_T>(places, t) * CONFIG_T::n_channels + channel;
        frame.fill(x);
        threshold<source_t, value_t, CONFIG_T>(frame.source, frame.value, thresholds, falling,
                                               channel, row);
        frame.drain(y);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void rescale_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y,
                    const typename CONFIG_T::multiplier_t multipliers[CONFIG_T::n_channels],
                    const typename CONFIG_T::negative_t negatives[CONFIG_T::n_channels],
                    const typename CONFIG_T::offset_t offsets[CONFIG_T::n_offsets],
                    const typename CONFIG_T::shift_t shifts[CONFIG_T::n_channels],
                    const typename CONFIG_T::place_t places[CONFIG_T::n_places]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        frame_words<data_T, res_T, CONFIG_T> frame;
        const unsigned channel = t % CONFIG_T::n_chunks * CONFIG_T::in::size;
        const unsigned row = class_of<CONFIG_T>(places, t) * CONFIG_T::n_channels + channel;
        frame.fill(x);
        rescale<source_t, value_t, CONFIG_T>(frame.source, frame.value, multipliers, negatives,
                                             offsets, shifts, channel, row);
        frame.drain(y);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void lookup_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   const typename CONFIG_T::table_t table[CONFIG_T::n_table]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        frame_words<data_T, res_T, CONFIG_T> frame;
        const unsigned channel = t % CONFIG_T::n_chunks * CONFIG_T::in::size;
        frame.fill(x);
        lookup<source_t, value_t, CONFIG_T>(frame.source, frame.value, table, channel);
        frame.drain(y);
    }
}

// Add: a value of one channel has one token a pixel; it is kept for all chunks of the other value.
template <class data_T, class other_T, class res_T, typename CONFIG_T>
void add_tokens(hls::stream<data_T> &x, hls::stream<other_T> &z, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    source_t source[CONFIG_T::in::words];
    other_t other[CONFIG_T::other::words];
    #pragma HLS ARRAY_PARTITION variable=source complete
    #pragma HLS ARRAY_PARTITION variable=other complete
Token:
    for (unsigned t = 0; t < CONFIG_T::n_tokens; t++) {
        #pragma HLS PIPELINE II=1
        value_t value[CONFIG_T::out::words];
        #pragma HLS ARRAY_PARTITION variable=value complete
        const bool first = t % CONFIG_T::n_chunks == 0;
        if (first || CONFIG_T::in::size == CONFIG_T::out::size)
            receive<data_T, CONFIG_T::in::words>(x, source, 0);
        if (first || CONFIG_T::other::size == CONFIG_T::out::size)
            receive<other_T, CONFIG_T::other::words>(z, other, 0);
        add<source_t, other_t, value_t, CONFIG_T>(source, other, value);
        send<res_T, CONFIG_T::out::words>(value, y, 0);
    }
}

// ChannelPad: pixel by pixel, since source and value may differ in their chunks.
template <class data_T, class res_T, typename CONFIG_T>
void channel_pad_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    const unsigned interval = CONFIG_T::interval;
Pixel:
    for (unsigned t = 0; t < CONFIG_T::n_pixels; t++) {
        #pragma HLS PIPELINE II=interval
        frame_words<data_T, res_T, CONFIG_T> frame;
        frame.fill(x);
        channel_pad<source_t, value_t, CONFIG_T>(frame.source, frame.value);
        frame.drain(y);
    }
}

// Select: the same channels of each pixel.
template <class data_T, class res_T, typename CONFIG_T>
void select_tokens(hls::stream<data_T> &x, hls::stream<res_T> &y,
                   const typename CONFIG_T::position_t positions[CONFIG_T::out::size]) {
    typedef typename data_T::value_type source_t;
    typedef typename res_T::value_type value_t;
    const unsigned interval = CONFIG_T::interval;
Pixel:
    for (unsigned t = 0; t < CONFIG_T::n_pixels; t++) {
        #pragma HLS PIPELINE II=interval
        source_t source[CONFIG_T::in::words];
        value_t value[CONFIG_T::out::words];
        #pragma HLS ARRAY_PARTITION variable=source complete
        #pragma HLS ARRAY_PARTITION variable=value complete
        receive_all<data_T, CONFIG_T::in::words>(x, source);
        select<source_t, value_t, CONFIG_T>(source, value, positions);
        send_all<res_T, CONFIG_T::out::words>(value, y);
    }
}

// Concat: pixel by pixel, since the chunks of both sources and of the value may differ.
template <class data_T, class other_T, class res_T, typename CONFIG_T>
void concat_tokens(hls::stream<data_T> &x, hls::stream<other_T> &z, hls::stream<res_T> &y) {
    typedef typename data_T::value_type source_t;
    typedef typename other_T::value_type other_t;
    typedef typename res_T::value_type value_t;
    const unsigned interval = CONFIG_T::interval;
Pixel:
    for (unsigned t = 0; t < CONFIG_T::n_pixels; t++) {
        #pragma HLS PIPELINE II=interval
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
}

} // namespace hwbnn

#endif
