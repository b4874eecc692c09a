// SPDX-License-Identifier: Apache-2.0
// Cuts wide tokens into narrow ones. A frame of Tokens narrow tokens comes as ceil(Tokens / Ratio)
// wide ones; the last may hold fewer parts. It gives a narrow token in every cycle: the next wide
// token is taken while the last part of the previous one is still there.

module hwbnn_stream_down #(
  parameter int Width  = 8,  // bits of a narrow token
  parameter int Ratio  = 2,  // narrow tokens in a wide one
  parameter int Tokens = 2   // narrow tokens in a frame
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  output logic                   ready_o,
  input  logic [Ratio*Width-1:0] data_i,

  output logic                   valid_o,
  input  logic                   ready_i,
  output logic [Width-1:0]       data_o
);
  localparam int Wide = (Tokens + Ratio - 1) / Ratio;
  localparam int LastParts = Tokens - (Wide - 1) * Ratio;
  localparam int LeftWidth = $clog2(Ratio + 2);
  localparam int WideWidth = Wide > 1 ? $clog2(Wide) : 1;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Ratio < 2 || Tokens < 1) begin : gen_error
    $error("hwbnn_stream_down: Ratio %0d must be at least 2, Tokens %0d at least 1", Ratio, Tokens);
  end
`endif

  logic [(Ratio+1)*Width-1:0] parts_q, kept;
  logic [LeftWidth-1:0] left_q, kept_left;  // parts still to give, before and after this cycle's
  logic [WideWidth-1:0] wide_q;             // number in its frame of the next wide token
  logic push, pop, last_wide;

  assign ready_o = left_q <= LeftWidth'(1);
  assign valid_o = left_q != '0;
  assign data_o = parts_q[Width-1:0];
  assign push = valid_i && ready_o;
  assign pop = valid_o && ready_i;

  assign kept = pop ? parts_q >> Width : parts_q;
  assign kept_left = left_q - LeftWidth'(pop);
  assign last_wide = wide_q == WideWidth'(Wide - 1);

  always_ff @(posedge clk_i) begin
    if (!push) parts_q <= kept;
    else if (kept_left == '0) parts_q <= {Width'(0), data_i};
    else parts_q <= {data_i, kept[Width-1:0]};
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_q <= '0;
      wide_q <= '0;
    end else begin
      left_q <= kept_left;
      if (push) begin
        left_q <= kept_left + (last_wide ? LeftWidth'(LastParts) : LeftWidth'(Ratio));
        wide_q <= last_wide ? '0 : wide_q + 1'b1;
      end
    end
  end
endmodule
