// The input and the weight in one word, the weight above; a valid bit beside the product.
module product_bench #(
  parameter int Width       = 4,
  parameter int WeightWidth = 4,
  parameter int Levels      = 2,
  parameter bit Dsp         = 1'b0,
  parameter int Latency     = 1
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         valid_i,
  input  logic [Width+WeightWidth-1:0] data_i,
  output logic                         valid_o,
  output logic [Width+WeightWidth-1:0] data_o
);
  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_product #(
    .Width(Width), .WeightWidth(WeightWidth), .Levels(Levels), .Dsp(Dsp)
  ) u_product (
    .clk_i, .data_i(data_i[Width-1:0]), .weight_i(data_i[Width +: WeightWidth]),
    .product_o(data_o)
  );
endmodule
