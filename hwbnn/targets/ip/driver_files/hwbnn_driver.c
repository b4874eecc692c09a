/* SPDX-License-Identifier: Apache-2.0 */
#include "hwbnn_driver.h"

#include <string.h>

#include "hwbnn_registers.h"

/* AXI DMA in simple mode (register map of its product guide): the channel that sends (MM2S) is at 0,
 * the one that receives (S2MM) at 0x30. */
enum { SEND = 0x00, RECEIVE = 0x30 };
enum { CONTROL = 0x00, STATUS = 0x04, ADDRESS = 0x18, ADDRESS_HIGH = 0x1C, LENGTH = 0x28 };
enum { RUN = 1u << 0, RESET = 1u << 2 };
enum { HALTED = 1u << 0, IDLE = 1u << 1, ERRORS = 7u << 4 };
enum { MOST_BYTES = (1u << 26) - 1 }; /* of a transfer: the widest length register has 26 bits */

#define REGISTER(name) (core->control + offsetof(hwbnn_control_t, name))

static uint32_t read32(hwbnn_t *core, uint64_t address) {
    return core->platform.read32(core->platform.context, address);
}

static void write32(hwbnn_t *core, uint64_t address, uint32_t value) {
    core->platform.write32(core->platform.context, address, value);
}

size_t hwbnn_frame_bytes(const hwbnn_layout_t *layout) {
    return (size_t)layout->beats * layout->beat_bytes;
}

/* Bytes of the last beat of a frame that hold elements: those that a DMA stores. */
static size_t last_bytes(const hwbnn_layout_t *layout) {
    uint32_t left = layout->elements - (layout->beats - 1) * layout->lanes;
    return ((size_t)left * layout->width + 7) / 8;
}

hwbnn_status_t hwbnn_pack(const hwbnn_layout_t *layout, const int32_t *x, uint8_t *bytes) {
    memset(bytes, 0, hwbnn_frame_bytes(layout));
    for (uint32_t n = 0; n < layout->elements; n++) {
        if (x[n] < layout->low || x[n] > layout->high) return HWBNN_VALUE;
        size_t bit = (size_t)(n / layout->lanes) * layout->beat_bytes * 8 +
                     (size_t)(n % layout->lanes) * layout->width;
        uint32_t code = (uint32_t)x[n];
        for (uint32_t i = 0; i < layout->width; i++, bit++)
            bytes[bit / 8] |= (uint8_t)((code >> i & 1u) << (bit % 8));
    }
    return HWBNN_OK;
}

void hwbnn_unpack(const hwbnn_layout_t *layout, const uint8_t *bytes, int32_t *y) {
    for (uint32_t n = 0; n < layout->elements; n++) {
        size_t bit = (size_t)(n / layout->lanes) * layout->beat_bytes * 8 +
                     (size_t)(n % layout->lanes) * layout->width;
        uint32_t code = 0;
        for (uint32_t i = 0; i < layout->width; i++, bit++)
            code |= (uint32_t)(bytes[bit / 8] >> (bit % 8) & 1u) << i;
        int64_t value = code;
        if (layout->is_signed && (code >> (layout->width - 1) & 1u))
            value -= (int64_t)1 << layout->width;
        y[n] = (int32_t)value;
    }
}

static hwbnn_status_t reset_dma(hwbnn_t *core) {
    write32(core, core->dma + SEND + CONTROL, RESET);
    for (uint32_t n = 0; read32(core, core->dma + SEND + CONTROL) & RESET; n++)
        if (n >= core->polls) return HWBNN_TIMEOUT;
    write32(core, core->dma + SEND + CONTROL, RUN);
    write32(core, core->dma + RECEIVE + CONTROL, RUN);
    return HWBNN_OK;
}

static int holds_a_frame(const hwbnn_t *core) {
    return core->send.bytes >= hwbnn_frame_bytes(&core->core->input) &&
           core->receive.bytes >= hwbnn_frame_bytes(&core->core->output);
}

hwbnn_status_t hwbnn_open(hwbnn_t *core) {
    const hwbnn_description_t *about = core->core;
    if (about->input.width > 31 || about->output.width > 31) return HWBNN_WIDTH;
    if (!holds_a_frame(core)) return HWBNN_BUFFER;
    if (about->has_control) {
        if (read32(core, REGISTER(IDENTITY)) != HWBNN_CONTROL__IDENTITY__VALUE_reset)
            return HWBNN_NO_CORE;
        if (read32(core, REGISTER(VERSION)) >> HWBNN_CONTROL__VERSION__MAJOR_bp !=
            HWBNN_CONTROL__VERSION__MAJOR_reset)
            return HWBNN_VERSION;
        if (read32(core, REGISTER(BUILD_HIGH)) != about->build_high ||
            read32(core, REGISTER(BUILD_LOW)) != about->build_low)
            return HWBNN_BUILD;
    }
    return reset_dma(core);
}

static void start(hwbnn_t *core, uint64_t channel, uint64_t address, size_t bytes) {
    write32(core, core->dma + channel + ADDRESS, (uint32_t)address);
    write32(core, core->dma + channel + ADDRESS_HIGH, (uint32_t)(address >> 32));
    write32(core, core->dma + channel + LENGTH, (uint32_t)bytes); /* which starts it */
}

static hwbnn_status_t finish(hwbnn_t *core, uint64_t channel) {
    for (uint32_t n = 0; n < core->polls; n++) {
        uint32_t status = read32(core, core->dma + channel + STATUS);
        if (status & ERRORS) return HWBNN_DMA;
        if (status & IDLE) return HWBNN_OK;
        if (status & HALTED) return HWBNN_DMA;
    }
    return HWBNN_TIMEOUT;
}

uint32_t hwbnn_errors(hwbnn_t *core) {
    return core->core->has_control ? read32(core, REGISTER(ERRORS)) : 0;
}

void hwbnn_clear_errors(hwbnn_t *core) {
    if (core->core->has_control)
        write32(core, REGISTER(CONTROL), HWBNN_CONTROL__CONTROL__CLEAR_ERROR_bm);
}

static size_t at_most(size_t bytes) { return bytes < MOST_BYTES ? bytes : MOST_BYTES; }

/* Frames that fit a transfer. A DMA ends at tlast, which stands behind each result unless the framing
 * is batch, and it stores no beat within a packet whose last bytes are unused. */
static size_t together(const hwbnn_t *core) {
    const hwbnn_layout_t *in = &core->core->input, *out = &core->core->output;
    if (!core->core->several_frames || last_bytes(out) != out->beat_bytes) return 1;
    size_t sent = at_most(core->send.bytes) / hwbnn_frame_bytes(in);
    size_t received = at_most(core->receive.bytes) / hwbnn_frame_bytes(out);
    return sent < received ? sent : received;
}

static hwbnn_status_t transfer(hwbnn_t *core, const int32_t *x, int32_t *y, size_t frames) {
    const hwbnn_layout_t *in = &core->core->input, *out = &core->core->output;
    size_t in_bytes = hwbnn_frame_bytes(in), out_bytes = hwbnn_frame_bytes(out);
    hwbnn_status_t status;
    for (size_t n = 0; n < frames; n++) {
        status = hwbnn_pack(in, x + n * in->elements, core->send.data + n * in_bytes);
        if (status != HWBNN_OK) return status;
    }
    memset(core->receive.data, 0, frames * out_bytes);
    core->platform.flush(core->platform.context, core->send.data, frames * in_bytes);
    core->platform.flush(core->platform.context, core->receive.data, frames * out_bytes);
    start(core, RECEIVE, core->receive.address, frames * out_bytes);
    start(core, SEND, core->send.address, frames * in_bytes);
    status = finish(core, SEND);
    if (status == HWBNN_OK) status = finish(core, RECEIVE);
    if (core->core->has_control &&
        (read32(core, REGISTER(STATUS)) & HWBNN_CONTROL__STATUS__ERROR_bm)) {
        (void)reset_dma(core);
        return HWBNN_PACKET;
    }
    if (status != HWBNN_OK) {
        (void)reset_dma(core);
        return status;
    }
    if (read32(core, core->dma + RECEIVE + LENGTH) !=
        frames * out_bytes - out->beat_bytes + last_bytes(out))
        return HWBNN_SHORT;
    core->platform.invalidate(core->platform.context, core->receive.data, frames * out_bytes);
    for (size_t n = 0; n < frames; n++)
        hwbnn_unpack(out, core->receive.data + n * out_bytes, y + n * out->elements);
    return HWBNN_OK;
}

hwbnn_status_t hwbnn_run(hwbnn_t *core, const int32_t *x, int32_t *y, size_t frames) {
    const hwbnn_layout_t *in = &core->core->input, *out = &core->core->output;
    if (!holds_a_frame(core)) return HWBNN_BUFFER;
    size_t most = together(core);
    for (size_t done = 0; done < frames; done += most) {
        size_t count = frames - done < most ? frames - done : most;
        hwbnn_status_t status =
            transfer(core, x + done * in->elements, y + done * out->elements, count);
        if (status != HWBNN_OK) return status;
    }
    return HWBNN_OK;
}

const char *hwbnn_text(hwbnn_status_t status) {
    static const char *const texts[] = {
        "no error",
        "these are not the registers of a core of hwbnn: check the address of the control block",
        "the registers are of a version that this driver does not know",
        "the bitstream has a core of another build: take header and bitstream of one folder",
        "a buffer does not hold one frame",
        "elements are wider than 31 bits: use the Python driver",
        "an element of the input is not in the range of the core",
        "the DMA reports an error: a packet was longer than expected, or an address is wrong",
        "a transfer did not end: the core has no clock, is in reset, or is of another build",
        "less arrived than expected: the core is of another build",
        "the core saw a packet of a wrong length: call hwbnn_clear_errors and send again",
    };
    size_t known = sizeof texts / sizeof texts[0];
    return (size_t)status < known ? texts[status] : "unknown status";
}
