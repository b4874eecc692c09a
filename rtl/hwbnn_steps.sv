// SPDX-License-Identifier: Apache-2.0
// Where a token stands among Steps successive ones: whether it is the first, or the last. A reset
// starts the count again.

module hwbnn_steps #(
  parameter int Steps = 4
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  output logic first_o,
  output logic last_o
);
  localparam int Width = Steps > 1 ? $clog2(Steps) : 1;

  logic [Width-1:0] step_q;

  assign first_o = step_q == '0;
  assign last_o = step_q == Width'(Steps - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) step_q <= '0;
    else if (valid_i) step_q <= last_o ? '0 : step_q + 1'b1;
  end
endmodule
