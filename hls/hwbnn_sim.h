// C simulation of a batch, for hwbnn_sim.cpp: frames in memory to the ports of the top and back.
// Not for synthesis.
#ifndef HWBNN_SIM_H_
#define HWBNN_SIM_H_

#include "hls_stream.h"
#include <stddef.h>

namespace hwbnn {
namespace sim {

// io_parallel: one element of the port an element of the frame.
template <unsigned SIZE, class kept_T, class port_T> void drive(const kept_T *frame, port_T *port) {
    for (unsigned i = 0; i < SIZE; i++)
        port[i] = frame[i];
}

template <unsigned SIZE, class kept_T, class port_T> void collect(port_T *port, kept_T *frame) {
    for (unsigned i = 0; i < SIZE; i++)
        frame[i] = kept_T(port[i].to_int());
}

// io_stream: the frame's elements in beats, in order.
template <unsigned SIZE, class kept_T, class beat_T>
void drive(const kept_T *frame, hls::stream<beat_T> &port) {
    for (unsigned i = 0; i < SIZE; i += beat_T::size) {
        beat_T beat;
        for (unsigned j = 0; j < beat_T::size; j++)
            beat[j] = frame[i + j];
        port.write(beat);
    }
}

template <unsigned SIZE, class kept_T, class beat_T>
void collect(hls::stream<beat_T> &port, kept_T *frame) {
    for (unsigned i = 0; i < SIZE; i += beat_T::size) {
        const beat_T beat = port.read();
        for (unsigned j = 0; j < beat_T::size; j++)
            frame[i + j] = kept_T(beat[j].to_int());
    }
}

} // namespace sim
} // namespace hwbnn

#endif
