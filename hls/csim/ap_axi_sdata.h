// The beat of an AXI4-Stream for C simulation without Vitis, which brings its own header of this name.
// Only what hwbnn uses: no TUSER, TID or TDEST.
#ifndef HWBNN_AP_AXI_SDATA_H_
#define HWBNN_AP_AXI_SDATA_H_

#include "ap_int.h"

template <int D, int U, int TI, int TD> struct ap_axiu {
    static_assert(U == 0 && TI == 0 && TD == 0, "no TUSER, TID or TDEST");
    ap_uint<D> data;
    ap_uint<(D + 7) / 8> keep;
    ap_uint<(D + 7) / 8> strb;
    ap_uint<1> last;
};

#endif
