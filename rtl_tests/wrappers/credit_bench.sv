// A free-running pipeline between its gate and its FIFO: Stages registers, then the last token of
// every TokensPerResult goes on.
module credit_bench #(
  parameter int Width   = 8,
  parameter int Credits = 1,
  parameter int TokensPerResult = 1,
  parameter int Stages  = 3
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
  logic entered, arrived, credit, last;
  logic [Width-1:0] data;
  logic [7:0] count_q;

  hwbnn_credit_gate #(
    .Credits(Credits), .TokensPerResult(TokensPerResult)
  ) u_gate (.clk_i, .rst_ni, .valid_i, .ready_o, .valid_o(entered), .credit_i(credit));
  hwbnn_valid_line #(.Stages(Stages)) u_valid (.clk_i, .rst_ni, .valid_i(entered), .valid_o(arrived));
  hwbnn_delay_line #(.Width(Width), .Stages(Stages)) u_data (.clk_i, .data_i, .data_o(data));

  assign last = count_q == 8'(TokensPerResult - 1);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else if (arrived) count_q <= last ? '0 : count_q + 8'd1;
  end

  hwbnn_credit_fifo #(
    .Width(Width), .Credits(Credits)
  ) u_fifo (
    .clk_i, .rst_ni, .valid_i(arrived && last), .data_i(data), .valid_o, .ready_i, .data_o,
    .credit_o(credit)
  );
endmodule
