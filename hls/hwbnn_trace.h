// HWBNN_TRACE(SLOT, LAYOUT, ARRAY): the values of a node in C simulation.
//
// The generated top function has one such line behind each node. It does nothing unless
// HWBNN_TRACE_VALUES is defined. Then it appends the elements of the frame, unpacked, to the memory
// that sinks[SLOT] points to (int32_t for integers, uint8_t for bits), unless that is null. Integers
// stay integers, so values of any width are exact; hls4ml's own trace goes through float.
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

// For each slot, a pointer to where the next frame's elements go; owned by hwbnn_sim.cpp.
extern void **sinks;

// How the trace stores elements of a layout: bits as uint8_t, integers as int32_t, which holds every
// integer of a Graph. `all` stores those of a value and returns the place of the next one.
template <class LAYOUT> struct kept {
    typedef int32_t type;
    static type *all(const typename LAYOUT::word_t *value, type *sink) {
        for (unsigned i = 0; i < LAYOUT::size; i++)
            *sink++ = value[i].to_int();
        return sink;
    }
};
template <unsigned SIZE, unsigned SEGMENT, unsigned WIDTH> struct kept<packed<SIZE, SEGMENT, WIDTH> > {
    typedef packed<SIZE, SEGMENT, WIDTH> layout;
    typedef uint8_t type;
    static type *all(const ap_uint<WIDTH> *value, type *sink) {
        for (unsigned first_element = 0; first_element < SIZE; first_element += SEGMENT)
            for (unsigned first = 0; first < SEGMENT; first += WIDTH) {
                uint64_t word = value[layout::word(first_element + first)].to_uint64();
                for (unsigned i = first; i < SEGMENT && i < first + WIDTH; i++, word >>= 1)
                    *sink++ = word & 1;
            }
        return sink;
    }
};

template <class LAYOUT> void record(unsigned slot, const typename LAYOUT::word_t *value) {
    typedef typename kept<LAYOUT>::type kept_t;
    if (!sinks[slot])
        return;
    sinks[slot] = kept<LAYOUT>::all(value, static_cast<kept_t *>(sinks[slot]));
}

// C simulation runs one process after the other: the stream holds exactly this frame, which may be
// the tokens of many values of the layout, or a value in several tokens.
template <class LAYOUT, class token_T> void record(unsigned slot, hls::stream<token_T> &stream) {
    if (!sinks[slot])
        return;
    typename LAYOUT::word_t words[LAYOUT::words];
    const unsigned tokens = (LAYOUT::words + token_T::size - 1) / token_T::size;
    const unsigned frame = stream.size() / tokens;
    for (unsigned i = 0; i < frame; i++) {
        for (unsigned first = 0; first < LAYOUT::words; first += token_T::size) {
            const token_T token = stream.read();
            stream.write(token);
            for (unsigned k = 0; k < token_T::size && first + k < LAYOUT::words; k++)
                words[first + k] = token[k];
        }
        record<LAYOUT>(slot, words);
    }
}

} // namespace trace
} // namespace hwbnn

#endif

#endif
