// How the elements of one value lie in an array of words.
//
// A layout is a type with
//   size      elements of the value
//   words     words of the array
//   word_t    one word
//   element_t one element
//   get, put  read and write element i
//   clear     set all words to zero before the first put, where put leaves bits as they are
// Nodes read and write elements through the layouts of their config, so that each node is written
// once for bits and integers alike. With the loops unrolled and i constant, get and put are wires.
#ifndef HWBNN_LAYOUT_H_
#define HWBNN_LAYOUT_H_

#include "ap_int.h"

namespace hwbnn {

// Vitis HLS unrolls loops and partitions arrays completely up to this many iterations or elements.
static const unsigned unroll_limit = 4096;

// Integers: one element a word.
template <unsigned SIZE, class T> struct plain {
    static const unsigned size = SIZE;
    static const unsigned words = SIZE;
    typedef T word_t;
    typedef T element_t;

    static_assert(SIZE <= unroll_limit, "a value has at most 4,096 words");

    static element_t get(const word_t x[words], unsigned i) {
        #pragma HLS INLINE
        return x[i];
    }

    static void put(word_t y[words], unsigned i, element_t element) {
        #pragma HLS INLINE
        y[i] = element;
    }

    static void clear(word_t[]) {
        #pragma HLS INLINE
    }
};

// Counts that begin at BASE instead of 0: put adds BASE to each integer. The sum is modulo the width
// of an element, so the count needs no more bits than that.
template <unsigned SIZE, class T, int BASE> struct counted : plain<SIZE, T> {
    static void put(T y[SIZE], unsigned i, T element) {
        #pragma HLS INLINE
        y[i] = element + BASE;
    }
};

// Bits, the codes 0 and 1 of -1 and +1, in words, little-endian: segments of SEGMENT
// elements, each in segment_words words of WIDTH bits, with element 0 in the lowest bit of the first
// word. A folded dot product reads one segment a cycle. Bits of a word beyond its segment are zero.
template <unsigned SIZE, unsigned SEGMENT, unsigned WIDTH> struct packed {
    static const unsigned size = SIZE;
    static const unsigned segment_words = (SEGMENT + WIDTH - 1) / WIDTH;
    static const unsigned words = SIZE / SEGMENT * segment_words;
    typedef ap_uint<WIDTH> word_t;
    typedef ap_uint<1> element_t;

    static_assert(words <= unroll_limit, "a value has at most 4,096 words");
    static_assert(SIZE % SEGMENT == 0, "segments divide the value");
    static_assert(WIDTH <= 64, "a word has at most 64 bits");

    static unsigned word(unsigned i) {
        #pragma HLS INLINE
        return i / SEGMENT * segment_words + i % SEGMENT / WIDTH;
    }

    static unsigned bit(unsigned i) {
        #pragma HLS INLINE
        return i % SEGMENT % WIDTH;
    }

    static element_t get(const word_t x[words], unsigned i) {
        #pragma HLS INLINE
        return x[word(i)][bit(i)];
    }

    static void put(word_t y[words], unsigned i, element_t element) {
        #pragma HLS INLINE
        y[word(i)][bit(i)] = element;
    }

    static void clear(word_t y[words]) {
        #pragma HLS INLINE
    Clear:
        for (unsigned i = 0; i < words; i++) {
            #pragma HLS UNROLL
            y[i] = 0;
        }
    }
};

} // namespace hwbnn

#endif
