// Frames in memory to the ports of the top function and back (hwbnn_axis.h): for C simulation and for
// the test bench. Not for synthesis.
#ifndef HWBNN_SIM_H_
#define HWBNN_SIM_H_

#include "hls_stream.h"
#include "hwbnn_axis.h"

namespace hwbnn {
namespace sim {

// Bit by bit, and not by the functions of hwbnn_axis.h, which are what is tested.
//
// Word b of a frame.
template <typename PORT, class kept_T>
ap_uint<PORT::word_bits> word_of(const kept_T *frame, unsigned b) {
    ap_uint<PORT::word_bits> word = 0;
    for (unsigned i = 0; i < PORT::lanes && b * PORT::lanes + i < PORT::n_elements; i++)
        for (unsigned k = 0; k < PORT::width; k++)
            word[i * PORT::width + k] = frame[b * PORT::lanes + i] >> k & 1;
    return word;
}

// The elements of word b; false if a bit beyond them is set.
template <typename PORT, class kept_T>
bool take(const ap_uint<PORT::word_bits> &word, unsigned b, kept_T *frame) {
    for (unsigned i = 0; i < PORT::lanes && b * PORT::lanes + i < PORT::n_elements; i++) {
        typename PORT::element_t element = 0;
        for (unsigned k = 0; k < PORT::width; k++)
            element[k] = word[i * PORT::width + k];
        frame[b * PORT::lanes + i] = kept_T(element.to_int());
    }
    return word == word_of<PORT>(frame, b);
}

// io_parallel. `collect` gives false if the words have a bit too much.
template <typename PORT, class kept_T>
void drive(const kept_T *frame, ap_uint<PORT::word_bits> *port) {
    for (unsigned b = 0; b < PORT::n_beats; b++)
        port[b] = word_of<PORT>(frame, b);
}

template <typename PORT, class kept_T>
bool collect(const ap_uint<PORT::word_bits> *port, kept_T *frame) {
    bool sound = true;
    for (unsigned b = 0; b < PORT::n_beats; b++)
        sound &= take<PORT>(port[b], b, frame);
    return sound;
}

// io_stream. `collect` gives false if TLAST, TKEEP or TSTRB are wrong, or there are not exactly the
// beats of a frame.
template <typename PORT, class kept_T>
void drive(const kept_T *frame, hls::stream<typename PORT::beat_t> &port) {
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        typename PORT::beat_t beat;
        beat.data = word_of<PORT>(frame, b);
        beat.keep = -1;
        beat.strb = -1;
        beat.last = b == PORT::n_beats - 1;
        port.write(beat);
    }
}

template <typename PORT, class kept_T>
bool collect(hls::stream<typename PORT::beat_t> &port, kept_T *frame) {
    bool sound = true;
    for (unsigned b = 0; b < PORT::n_beats; b++) {
        if (port.empty())
            return false;
        const bool last = b == PORT::n_beats - 1;
        const typename PORT::beat_t beat = port.read();
        sound &= take<PORT>(beat.data, b, frame) && (beat.last == 1) == last;
        for (unsigned i = 0; i < PORT::word_bits / 8; i++)
            sound &= (beat.keep[i] == 1) == (!last || i < PORT::last_bytes);
        sound &= beat.strb == beat.keep;
    }
    return sound && port.empty();
}

} // namespace sim
} // namespace hwbnn

#endif
