// The border of the top function: frames as packed words.
//
// A frame crosses the border in n_beats words of `lanes` elements of `width` bits, without padding:
// element 0 in the lowest bits of the first word, unused high bits zero. This is the order of the RTL
// cores of hwbnn. In io_stream a word is TDATA of a beat; the last beat of a frame has TLAST, and its
// TKEEP covers the bytes that hold elements. Frames are told apart by counting beats: TLAST and TKEEP
// of the input are not read.
//
// Inside, a frame is elements, one a word: the tokens that the network's first function reads and its
// last one writes. PORT describes a port; the generated top function has one such struct for each.
#ifndef HWBNN_AXIS_H_
#define HWBNN_AXIS_H_

#include "ap_axi_sdata.h"
#include "hls_stream.h"

namespace hwbnn {

// Element `lane` of a word.
template <typename PORT>
typename PORT::element_t element_of(ap_uint<PORT::word_bits> word, unsigned lane) {
    #pragma HLS INLINE
    const ap_uint<PORT::width> code = word >> lane * PORT::width;
    return code;
}

// Puts an element into a word.
template <typename PORT>
void put_element(ap_uint<PORT::word_bits> &word, unsigned lane, typename PORT::element_t element) {
    #pragma HLS INLINE
    word.range(lane * PORT::width + PORT::width - 1, lane * PORT::width) = element;
}

// A beat of the output.
template <typename PORT>
typename PORT::beat_t beat_of(ap_uint<PORT::word_bits> word, bool last) {
    #pragma HLS INLINE
    typedef ap_uint<PORT::word_bits / 8> keep_t;
    const keep_t all = ~keep_t(0);
    const keep_t some = all >> (PORT::word_bits / 8 - PORT::last_bytes);
    typename PORT::beat_t beat;
    beat.data = word;
    beat.keep = last ? some : all;
    beat.strb = beat.keep;
    beat.last = last;
    return beat;
}

// A frame at once: all beats, then the tokens of the frame; and back.
template <class token_T, typename PORT>
void frame_from_axis(hls::stream<typename PORT::beat_t> &x, hls::stream<token_T> &y) {
    ap_uint<PORT::word_bits> words[PORT::n_beats];
    #pragma HLS ARRAY_PARTITION variable=words complete
Beat:
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        #pragma HLS PIPELINE II=1
        words[b] = x.read().data;
    }
Token:
    for (unsigned t = 0; t < PORT::n_tokens; t++) {
        #pragma HLS UNROLL
        token_T token;
    Element:
        for (unsigned i = 0; i < token_T::size; i++) {
            #pragma HLS UNROLL
            const unsigned at = t * token_T::size + i;
            token[i] = element_of<PORT>(words[at / PORT::lanes], at % PORT::lanes);
        }
        y.write(token);
    }
}

template <class token_T, typename PORT>
void frame_to_axis(hls::stream<token_T> &x, hls::stream<typename PORT::beat_t> &y) {
    ap_uint<PORT::word_bits> words[PORT::n_beats];
    #pragma HLS ARRAY_PARTITION variable=words complete
Clear:
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        #pragma HLS UNROLL
        words[b] = 0;
    }
Token:
    for (unsigned t = 0; t < PORT::n_tokens; t++) {
        #pragma HLS UNROLL
        const token_T token = x.read();
    Element:
        for (unsigned i = 0; i < token_T::size; i++) {
            #pragma HLS UNROLL
            const unsigned at = t * token_T::size + i;
            put_element<PORT>(words[at / PORT::lanes], at % PORT::lanes, token[i]);
        }
    }
Beat:
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        #pragma HLS PIPELINE II=1
        y.write(beat_of<PORT>(words[b], b == PORT::n_beats - 1));
    }
}

// Images: a token as soon as its elements are there, without waiting for the frame; and back. A beat
// need not end where a token ends. `held` elements wait for the rest of their token or beat, in
// groups of `group`, which divides the elements of both. Moves are counted in advance (n_moves).
template <class token_T, typename PORT>
void tokens_from_axis(hls::stream<typename PORT::beat_t> &x, hls::stream<token_T> &y) {
    typename PORT::element_t held[PORT::held];
    #pragma HLS ARRAY_PARTITION variable=held complete
    unsigned groups = 0;
Move:
    for (unsigned m = 0; m < PORT::n_moves; m++) {
        #pragma HLS PIPELINE II=1
        if (groups < token_T::size / PORT::group) {
            const ap_uint<PORT::word_bits> word = x.read().data;
        Place:
            for (unsigned k = 0; k < PORT::held / PORT::group; k++) {
                #pragma HLS UNROLL
            Fill:
                for (unsigned i = 0; i < PORT::lanes; i++) {
                    #pragma HLS UNROLL
                    if (k == groups && k * PORT::group + i < PORT::held)
                        held[k * PORT::group + i] = element_of<PORT>(word, i);
                }
            }
            groups += PORT::lanes / PORT::group;
        }
        if (groups >= token_T::size / PORT::group) {
            token_T token;
        Element:
            for (unsigned i = 0; i < token_T::size; i++) {
                #pragma HLS UNROLL
                token[i] = held[i];
            }
            y.write(token);
        Shift:
            for (unsigned i = 0; i < PORT::held - token_T::size; i++) {
                #pragma HLS UNROLL
                held[i] = held[i + token_T::size];
            }
            groups -= token_T::size / PORT::group;
        }
    }
}

template <class token_T, typename PORT>
void tokens_to_axis(hls::stream<token_T> &x, hls::stream<typename PORT::beat_t> &y) {
    typename PORT::element_t held[PORT::held];
    #pragma HLS ARRAY_PARTITION variable=held complete
    unsigned groups = 0;
    unsigned tokens = 0;
    unsigned beats = 0;
Move:
    for (unsigned m = 0; m < PORT::n_moves; m++) {
        #pragma HLS PIPELINE II=1
        if (groups < PORT::lanes / PORT::group && tokens < PORT::n_tokens) {
            const token_T token = x.read();
        Place:
            for (unsigned k = 0; k < PORT::held / PORT::group; k++) {
                #pragma HLS UNROLL
            Fill:
                for (unsigned i = 0; i < token_T::size; i++) {
                    #pragma HLS UNROLL
                    if (k == groups && k * PORT::group + i < PORT::held)
                        held[k * PORT::group + i] = token[i];
                }
            }
            groups += token_T::size / PORT::group;
            tokens++;
        }
        if (groups >= PORT::lanes / PORT::group || tokens == PORT::n_tokens) {
            ap_uint<PORT::word_bits> word = 0;
        Element:
            for (unsigned i = 0; i < PORT::lanes; i++) {
                #pragma HLS UNROLL
                if (i / PORT::group < groups)
                    put_element<PORT>(word, i, held[i]);
            }
            beats++;
            y.write(beat_of<PORT>(word, beats == PORT::n_beats));
        Shift:
            for (unsigned i = 0; i < PORT::held - PORT::lanes; i++) {
                #pragma HLS UNROLL
                held[i] = held[i + PORT::lanes];
            }
            groups -= PORT::lanes / PORT::group;
        }
    }
}

// io_parallel: the words of a frame, and its elements as the network reads and writes them.
template <typename PORT>
void elements_of(const ap_uint<PORT::word_bits> words[PORT::n_beats],
                 typename PORT::element_t frame[PORT::n_elements]) {
    #pragma HLS INLINE
Element:
    for (unsigned i = 0; i < PORT::n_elements; i++) {
        #pragma HLS UNROLL
        frame[i] = element_of<PORT>(words[i / PORT::lanes], i % PORT::lanes);
    }
}

template <typename PORT>
void words_of(const typename PORT::element_t frame[PORT::n_elements],
              ap_uint<PORT::word_bits> words[PORT::n_beats]) {
    #pragma HLS INLINE
Word:
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        #pragma HLS UNROLL
        ap_uint<PORT::word_bits> word = 0;
    Element:
        for (unsigned i = 0; i < PORT::lanes; i++) {
            #pragma HLS UNROLL
            if (b * PORT::lanes + i < PORT::n_elements)
                put_element<PORT>(word, i, frame[b * PORT::lanes + i]);
        }
        words[b] = word;
    }
}

} // namespace hwbnn

#endif
