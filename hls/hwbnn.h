// The nodes of a Graph as HLS functions; see hls/README.md of hwbnn.
#ifndef HWBNN_H_
#define HWBNN_H_

#include "hwbnn_argmax.h"
#include "hwbnn_conv.h"
#include "hwbnn_dot.h"
#include "hwbnn_elements.h"
#include "hwbnn_pool.h"
#include "hwbnn_scaled.h"
#include "hwbnn_stream.h"
#include "hwbnn_tokens.h"
#include "hwbnn_trace.h"
#include "hwbnn_weighted.h"

#endif
