// SPDX-License-Identifier: Apache-2.0
// The end of a free-running pipeline: a FIFO that is as deep as the number of credits, so it has
// room for everything that can arrive. It returns one credit, as a pulse, for every word that
// leaves.

module hwbnn_credit_fifo #(
  parameter int Width   = 8,
  parameter int Credits = 1
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             valid_i,
  input  logic [Width-1:0] data_i,

  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o,

  output logic             credit_o
);
  logic has_room;

  hwbnn_stream_fifo #(
    .Width(Width),
    .Depth(Credits)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o(has_room),
    .data_i,
    .valid_o,
    .ready_i,
    .data_o
  );

  assign credit_o = valid_o && ready_i;

`ifndef SYNTHESIS
  // A token that found no room would be lost.
  always @(posedge clk_i) begin
    if (rst_ni && valid_i && !has_room) begin
      $fatal(1, "hwbnn_credit_fifo: a token came without a credit");
    end
  end
`else
  logic unused_has_room;
  assign unused_has_room = has_room;
`endif
endmodule
