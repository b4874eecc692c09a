// SPDX-License-Identifier: Apache-2.0
// The entry of a free-running pipeline, which cannot be stopped: a token may enter only while the
// credit_fifo at the end has room for its result. One credit stands for one result, which is made
// from TokensPerResult tokens. The credit is taken with the first of these tokens and comes back
// when the result leaves the credit_fifo.

module hwbnn_credit_gate #(
  parameter int Credits         = 1,
  parameter int TokensPerResult = 1
) (
  input  logic clk_i,
  input  logic rst_ni,

  input  logic valid_i,
  output logic ready_o,

  output logic valid_o,   // a token enters the pipeline
  input  logic credit_i   // a result has left its end
);
  localparam int CreditWidth = $clog2(Credits + 1);

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Credits < 1 || TokensPerResult < 1) begin : gen_error
    $error("hwbnn_credit_gate: Credits %0d and TokensPerResult %0d must be at least 1",
           Credits, TokensPerResult);
  end
`endif

  logic [CreditWidth-1:0] credits_q;
  logic first, take;

  assign ready_o = !first || credits_q != '0;
  assign valid_o = valid_i && ready_o;
  assign take = valid_o && first;

  if (TokensPerResult == 1) begin : gen_single
    assign first = 1'b1;
  end else begin : gen_several
    localparam int CountWidth = $clog2(TokensPerResult);
    localparam logic [CountWidth-1:0] Last = CountWidth'(TokensPerResult - 1);
    logic [CountWidth-1:0] count_q;

    assign first = count_q == '0;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (valid_o) count_q <= count_q == Last ? '0 : count_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) credits_q <= CreditWidth'(Credits);
    else credits_q <= credits_q + CreditWidth'(credit_i) - CreditWidth'(take);
  end
endmodule
