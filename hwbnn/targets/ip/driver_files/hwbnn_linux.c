/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "hwbnn_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 }; /* bytes of registers that are mapped */

/* Registers are addressed by where they are mapped. */
static uint32_t read32(void *context, uint64_t address) {
    (void)context;
    return *(volatile uint32_t *)(uintptr_t)address;
}

static void write32(void *context, uint64_t address, uint32_t value) {
    (void)context;
    *(volatile uint32_t *)(uintptr_t)address = value;
}

/* The buffer is not cached; what was written must be in memory before the DMA is started. */
static void flush(void *context, const void *data, size_t bytes) {
    (void)context, (void)data, (void)bytes;
    __sync_synchronize();
}

static void invalidate(void *context, void *data, size_t bytes) {
    (void)context, (void)data, (void)bytes;
    __sync_synchronize();
}

static void *mapped(const char *path, size_t bytes) {
    int file = open(path, O_RDWR | O_SYNC);
    if (file < 0) return NULL;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int why = errno;
    close(file);
    errno = why;
    return at == MAP_FAILED ? NULL : at;
}

static int number(const char *folder, const char *name, uint64_t *value) {
    char path[512], text[32], *end;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    char *line = fgets(text, sizeof text, file);
    fclose(file);
    if (line) {
        errno = 0;
        *value = strtoull(line, &end, 0);
        if (!errno && end != line && (*end == '\n' || *end == '\0')) return 0;
    }
    errno = EINVAL;
    return -1;
}

int hwbnn_linux_open(hwbnn_t *core, const hwbnn_description_t *about, const char *dma,
                     const char *control, const char *buffer, const char *sysfs) {
    uint64_t address, size;
    memset(core, 0, sizeof *core);
    if (about->has_control && !control) {
        errno = EINVAL;
        return -1;
    }
    if (number(sysfs, "phys_addr", &address) || number(sysfs, "size", &size)) return -1;
    void *dma_at = mapped(dma, PAGE);
    if (!dma_at) return -1;
    void *control_at = control ? mapped(control, PAGE) : NULL;
    uint8_t *data = control && !control_at ? NULL : mapped(buffer, size);
    if (!data) {
        int why = errno;
        munmap(dma_at, PAGE);
        if (control_at) munmap(control_at, PAGE);
        errno = why;
        return -1;
    }
    size_t half = (size_t)size / 2 / 64 * 64; /* whole lines of a cache */
    core->core = about;
    core->platform = (hwbnn_platform_t){NULL, read32, write32, flush, invalidate};
    core->dma = (uintptr_t)dma_at;
    core->control = (uintptr_t)control_at;
    core->send = (hwbnn_buffer_t){data, address, half};
    core->receive = (hwbnn_buffer_t){data + half, address + half, half};
    core->polls = 100000000;
    return 0;
}
