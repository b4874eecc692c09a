// Tables alone: valid passes at once.
module count_six_bench #(
  parameter int Counts = 1
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  input  logic [6*Counts-1:0] data_i,
  output logic                valid_o,
  output logic [3*Counts-1:0] data_o
);
  assign valid_o = valid_i && rst_ni;
  hwbnn_count_six #(.Counts(Counts)) u_count (.bits_i(data_i), .counts_o(data_o));
endmodule
