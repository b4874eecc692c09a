/* SPDX-License-Identifier: Apache-2.0
 * The platform of hwbnn_driver.h on bare metal: registers at their addresses, and the functions of
 * Xilinx's standalone software for its data cache. Define HWBNN_UNCACHED where there is no cache, or
 * where the port of the DMA is coherent. */
#ifndef HWBNN_BAREMETAL_H
#define HWBNN_BAREMETAL_H

#include "hwbnn_driver.h"

#ifndef HWBNN_UNCACHED
#include "xil_cache.h"
#endif

static inline uint32_t hwbnn_bare_read32(void *context, uint64_t address) {
    (void)context;
    return *(volatile uint32_t *)(uintptr_t)address;
}

static inline void hwbnn_bare_write32(void *context, uint64_t address, uint32_t value) {
    (void)context;
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline void hwbnn_bare_flush(void *context, const void *data, size_t bytes) {
    (void)context;
#ifdef HWBNN_UNCACHED
    (void)data, (void)bytes;
#else
    Xil_DCacheFlushRange((INTPTR)data, (INTPTR)bytes);
#endif
}

static inline void hwbnn_bare_invalidate(void *context, void *data, size_t bytes) {
    (void)context;
#ifdef HWBNN_UNCACHED
    (void)data, (void)bytes;
#else
    Xil_DCacheInvalidateRange((INTPTR)data, (INTPTR)bytes);
#endif
}

static const hwbnn_platform_t hwbnn_baremetal = {NULL, hwbnn_bare_read32, hwbnn_bare_write32,
                                                 hwbnn_bare_flush, hwbnn_bare_invalidate};

#endif
