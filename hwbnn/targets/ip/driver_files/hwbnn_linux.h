/* SPDX-License-Identifier: Apache-2.0
 * The platform of hwbnn_driver.h under Linux: registers by UIO, buffers by u-dma-buf. */
#ifndef HWBNN_LINUX_H
#define HWBNN_LINUX_H

#include "hwbnn_driver.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps registers and buffers and fills in a hwbnn_t for hwbnn_open.
 *   dma, control  devices of UIO, "/dev/uio0"; control is NULL if the core has no registers
 *   buffer        a u-dma-buf device, "/dev/udmabuf0"; the first half sends, the second receives
 *   sysfs         its folder, "/sys/class/u-dma-buf/udmabuf0", with the files phys_addr and size
 * Returns 0, or -1 with errno set. The buffer is opened so that the processor does not cache it. */
int hwbnn_linux_open(hwbnn_t *core, const hwbnn_description_t *about, const char *dma,
                     const char *control, const char *buffer, const char *sysfs);

#ifdef __cplusplus
}
#endif

#endif
