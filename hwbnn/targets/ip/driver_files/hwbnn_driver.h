/* SPDX-License-Identifier: Apache-2.0
 * Drives a core of hwbnn behind a Xilinx AXI DMA in simple mode, on bare metal or under Linux.
 * The header NAME_core.h beside this file describes one core; this library fits all cores.
 * It is C11 and allocates nothing. */
#ifndef HWBNN_DRIVER_H
#define HWBNN_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The layout of frames on one stream: element k * lanes + i is bits [i * width +: width] of beat k. */
typedef struct {
    uint32_t elements, lanes, beats, width, beat_bytes;
    int32_t low, high; /* values that an element may have */
    int is_signed;
} hwbnn_layout_t;

/* One core, as NAME_core.h describes it. */
typedef struct {
    uint32_t build_high, build_low;
    int has_control;     /* it has registers: hwbnn_registers.h */
    int several_frames;  /* the framing is batch: a packet may hold several frames */
    hwbnn_layout_t input, output;
} hwbnn_description_t;

/* What differs from system to system. Addresses are those of the processor's bus. */
typedef struct {
    void *context;
    uint32_t (*read32)(void *context, uint64_t address);
    void (*write32)(void *context, uint64_t address, uint32_t value);
    /* Before the DMA reads: write the processor's cache back. After it wrote: forget the cache. */
    void (*flush)(void *context, const void *data, size_t bytes);
    void (*invalidate)(void *context, void *data, size_t bytes);
} hwbnn_platform_t;

/* Memory that processor and DMA both reach. A DMA whose length register has fewer than the 26 bits
 * that vivado/zynq.tcl gives it needs buffers that are no larger than the register can say. */
typedef struct {
    uint8_t *data;
    uint64_t address; /* of the bus, as the DMA sees it */
    size_t bytes;
} hwbnn_buffer_t;

typedef struct {
    const hwbnn_description_t *core;
    hwbnn_platform_t platform;
    uint64_t dma, control; /* addresses of the registers; control only if the core has them */
    hwbnn_buffer_t send, receive;
    uint32_t polls; /* readings of a status after which a transfer is given up */
} hwbnn_t;

typedef enum {
    HWBNN_OK = 0,
    HWBNN_NO_CORE,    /* the registers are not those of a core of hwbnn */
    HWBNN_VERSION,    /* the registers are of a version that this driver does not know */
    HWBNN_BUILD,      /* the bitstream has a core of another build */
    HWBNN_BUFFER,     /* a buffer does not hold one frame */
    HWBNN_WIDTH,      /* elements are wider than 31 bits: use the Python driver */
    HWBNN_VALUE,      /* an element of the input is not in its range */
    HWBNN_DMA,        /* the DMA reports an error: a packet was too long, or an address is wrong */
    HWBNN_TIMEOUT,    /* a transfer did not end */
    HWBNN_SHORT,      /* less arrived than expected */
    HWBNN_PACKET      /* the core saw a packet of a wrong length: hwbnn_clear_errors */
} hwbnn_status_t;

/* Resets the DMA and compares the core with its description. */
hwbnn_status_t hwbnn_open(hwbnn_t *core);

/* Sends frames through the core, as many in a transfer as the buffers and the framing allow.
 * x has frames * input.elements values, y has room for frames * output.elements. */
hwbnn_status_t hwbnn_run(hwbnn_t *core, const int32_t *x, int32_t *y, size_t frames);

/* Packets of a wrong length since the last call of hwbnn_clear_errors; 0 without registers. */
uint32_t hwbnn_errors(hwbnn_t *core);
void hwbnn_clear_errors(hwbnn_t *core);

/* One frame as bytes of its beats, and back. */
hwbnn_status_t hwbnn_pack(const hwbnn_layout_t *layout, const int32_t *x, uint8_t *bytes);
void hwbnn_unpack(const hwbnn_layout_t *layout, const uint8_t *bytes, int32_t *y);
size_t hwbnn_frame_bytes(const hwbnn_layout_t *layout);

/* A sentence for people. */
const char *hwbnn_text(hwbnn_status_t status);

#ifdef __cplusplus
}
#endif

#endif
