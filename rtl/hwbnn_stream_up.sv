// SPDX-License-Identifier: Apache-2.0
// Joins narrow tokens to wide ones. A frame of Tokens narrow tokens gives ceil(Tokens / Ratio) wide
// ones; the last may have fewer parts, and its other lanes then hold any value. It takes a narrow
// token in every cycle: a token that arrives while a wide token waits is stored, so ready_o depends
// on registers only.

module hwbnn_stream_up #(
  parameter int Width  = 8,  // bits of a narrow token
  parameter int Ratio  = 2,  // narrow tokens in a wide one
  parameter int Tokens = 2   // narrow tokens in a frame
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  output logic                   ready_o,
  input  logic [Width-1:0]       data_i,

  output logic                   valid_o,
  input  logic                   ready_i,
  output logic [Ratio*Width-1:0] data_o
);
  localparam int Wide = (Tokens + Ratio - 1) / Ratio;
  localparam int LastParts = Tokens - (Wide - 1) * Ratio;
  localparam int PartWidth = $clog2(Ratio + 1);
  localparam int WideWidth = Wide > 1 ? $clog2(Wide) : 1;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Ratio < 2 || Tokens < 1) begin : gen_error
    $error("hwbnn_stream_up: Ratio %0d must be at least 2, Tokens %0d at least 1", Ratio, Tokens);
  end
`endif

  logic [Ratio-1:0][Width-1:0] parts_q;
  logic [Width-1:0] aside_q;
  logic [PartWidth-1:0] part_q, part;  // where the next narrow token goes; parts in this wide one
  logic [WideWidth-1:0] wide_q;        // number of this wide token in its frame
  logic full_q, aside_valid_q;
  logic push, pop, take, last_wide, last_part;
  logic [Width-1:0] taken;

  assign ready_o = !aside_valid_q;
  assign valid_o = full_q;
  assign data_o = parts_q;
  assign push = valid_i && ready_o;
  assign pop = valid_o && ready_i;

  // A token enters the wide word if there is room: the one kept aside goes first.
  assign take = (push || aside_valid_q) && (!full_q || pop);
  assign taken = aside_valid_q ? aside_q : data_i;
  assign last_wide = wide_q == WideWidth'(Wide - 1);
  assign part = last_wide ? PartWidth'(LastParts) : PartWidth'(Ratio);
  assign last_part = part_q == part - 1'b1;

  always_ff @(posedge clk_i) begin
    for (int i = 0; i < Ratio; i++) begin
      if (take && part_q == PartWidth'(i)) parts_q[i] <= taken;
    end
    if (push) aside_q <= data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      part_q <= '0;
      wide_q <= '0;
      full_q <= 1'b0;
      aside_valid_q <= 1'b0;
    end else begin
      full_q <= (take && last_part) || (full_q && !pop);
      aside_valid_q <= (push || aside_valid_q) && !take;
      if (take) part_q <= last_part ? '0 : part_q + 1'b1;
      if (take && last_part) wide_q <= last_wide ? '0 : wide_q + 1'b1;
    end
  end
endmodule
