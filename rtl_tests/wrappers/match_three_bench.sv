// Both words in one, b above; ones below twos. Tables alone: valid passes at once.
module match_three_bench #(
  parameter int Counts = 1
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  input  logic [6*Counts-1:0] data_i,
  output logic                valid_o,
  output logic [2*Counts-1:0] data_o
);
  assign valid_o = valid_i && rst_ni;
  hwbnn_match_three #(
    .Counts(Counts)
  ) u_match (
    .a_i(data_i[3*Counts-1:0]), .b_i(data_i[6*Counts-1:3*Counts]),
    .ones_o(data_o[Counts-1:0]), .twos_o(data_o[2*Counts-1:Counts])
  );
endmodule
