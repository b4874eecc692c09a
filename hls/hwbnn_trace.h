// HWBNN_TRACE(SLOT, LAYOUT, ARRAY): the values of a node in C simulation.
//
// The generated top function has one such line behind each node. It is nothing unless
// HWBNN_TRACE_VALUES is defined; then it appends the elements of the frame, unpacked, to the
// memory that sinks[SLOT] points to (int32_t for integers, uint8_t for bits), if to any. Integers
// stay integers, so that values of any width are exact; hls4ml's own trace goes through float.
#ifndef HWBNN_TRACE_H_
#define HWBNN_TRACE_H_

#ifndef HWBNN_TRACE_VALUES

#define HWBNN_TRACE(SLOT, LAYOUT, ARRAY)

#else

#include "hls_stream.h"
#include "hwbnn_layout.h"
#include <stdint.h>

#define HWBNN_TRACE(SLOT, LAYOUT, ARRAY) hwbnn::trace::record<LAYOUT>(SLOT, ARRAY);

namespace hwbnn {
namespace trace {

// Where the next frame's elements go, a pointer a slot; owned by hwbnn_sim.cpp.
extern void **sinks;

// How elements of a layout are kept: bits as uint8_t, integers as int32_t.
template <class LAYOUT> struct kept {
    typedef int32_t type;
    static type of(const typename LAYOUT::element_t &element) { return element.to_int(); }
};
template <unsigned SIZE, unsigned GROUP, unsigned WIDTH> struct kept<packed<SIZE, GROUP, WIDTH> > {
    typedef uint8_t type;
    static type of(const ap_uint<1> &element) { return uint8_t(element.to_uint()); }
};

template <class LAYOUT> void record(unsigned slot, const typename LAYOUT::word_t *value) {
    typedef typename kept<LAYOUT>::type kept_t;
    if (!sinks[slot])
        return;
    kept_t *sink = static_cast<kept_t *>(sinks[slot]);
    for (unsigned i = 0; i < LAYOUT::size; i++)
        sink[i] = kept<LAYOUT>::of(LAYOUT::get(value, i));
    sinks[slot] = sink + LAYOUT::size;
}

// C simulation runs one process after the other: the stream holds exactly this frame.
template <class LAYOUT, class frame_T> void record(unsigned slot, hls::stream<frame_T> &stream) {
    if (!sinks[slot])
        return;
    const frame_T frame = stream.read();
    stream.write(frame);
    record<LAYOUT>(slot, frame.data);
}

} // namespace trace
} // namespace hwbnn

#endif

#endif
