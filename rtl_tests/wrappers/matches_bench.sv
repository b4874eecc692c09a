// Both words in one, b above; a valid bit beside the count, as many stages long as popcount's.
module matches_bench #(
  parameter int Inputs = 7,
  parameter int Levels = 2,
  parameter int Latency = 1
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        valid_i,
  input  logic [2*Inputs-1:0]         data_i,
  output logic                        valid_o,
  output logic [$clog2(Inputs+1)-1:0] data_o
);
  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_matches #(
    .Inputs(Inputs), .Levels(Levels)
  ) u_matches (
    .clk_i, .a_i(data_i[Inputs-1:0]), .b_i(data_i[Inputs +: Inputs]), .count_o(data_o)
  );
endmodule
