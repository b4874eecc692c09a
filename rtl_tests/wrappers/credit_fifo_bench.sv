// The FIFO without a gate in front: every token offered is taken, whether there is room or not.
module credit_fifo_bench #(
  parameter int Width   = 8,
  parameter int Credits = 1
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
  logic credit;

  assign ready_o = rst_ni;
  hwbnn_credit_fifo #(
    .Width(Width), .Credits(Credits)
  ) u_fifo (
    .clk_i, .rst_ni, .valid_i, .data_i, .valid_o, .ready_i, .data_o, .credit_o(credit)
  );
endmodule
