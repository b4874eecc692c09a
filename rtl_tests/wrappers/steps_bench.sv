// Each token leaves at once, with where it stands above it.
module steps_bench #(
  parameter int Steps = 4
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       valid_i,
  input  logic [7:0] data_i,
  output logic       valid_o,
  output logic [9:0] data_o
);
  logic first, last;

  assign valid_o = valid_i && rst_ni;
  assign data_o = {last, first, data_i};
  hwbnn_steps #(.Steps(Steps)) u_steps (
    .clk_i, .rst_ni, .valid_i, .first_o(first), .last_o(last)
  );
endmodule
