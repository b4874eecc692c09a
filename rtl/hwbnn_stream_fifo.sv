// SPDX-License-Identifier: Apache-2.0
// First in, first out. Both handshakes depend on the fill level only, so no path leads from ready_i
// to ready_o or from valid_i to valid_o. A word can be read in the cycle after it was written.

module hwbnn_stream_fifo #(
  parameter int Width = 8,
  parameter int Depth = 2  // 2 is the least that passes a word in every cycle
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,

  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  localparam int FillWidth = $clog2(Depth + 1);
  localparam int IndexWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam logic [IndexWidth-1:0] LastIndex = IndexWidth'(Depth - 1);

  logic [Width-1:0] words_q [0:Depth-1];
  logic [FillWidth-1:0] fill_q;
  logic [IndexWidth-1:0] read_q, write_q;
  logic push, pop;

  assign ready_o = fill_q != FillWidth'(Depth);
  assign valid_o = fill_q != '0;
  assign data_o = words_q[read_q];
  assign push = valid_i && ready_o;
  assign pop = valid_o && ready_i;

  always_ff @(posedge clk_i) begin
    if (push) words_q[write_q] <= data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fill_q <= '0;
      read_q <= '0;
      write_q <= '0;
    end else begin
      fill_q <= fill_q + FillWidth'(push) - FillWidth'(pop);
      if (pop) read_q <= read_q == LastIndex ? '0 : read_q + 1'b1;
      if (push) write_q <= write_q == LastIndex ? '0 : write_q + 1'b1;
    end
  end
endmodule
