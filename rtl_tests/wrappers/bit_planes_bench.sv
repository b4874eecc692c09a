// Wires alone: valid passes at once.
module bit_planes_bench #(
  parameter int Inputs = 4,
  parameter int Width  = 1,
  parameter bit Signed = 1'b0
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    valid_i,
  input  logic [Inputs*Width-1:0] data_i,
  output logic                    valid_o,
  output logic [Inputs*Width-1:0] data_o
);
  assign valid_o = valid_i && rst_ni;
  hwbnn_bit_planes #(
    .Inputs(Inputs), .Width(Width), .Signed(Signed)
  ) u_planes (.data_i, .planes_o(data_o));
endmodule
