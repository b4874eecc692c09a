// SPDX-License-Identifier: Apache-2.0
// Delays a valid bit by a fixed number of cycles. Reset clears it, so nothing that was in a free-
// running pipeline before a reset comes out of it afterwards.

module hwbnn_valid_line #(
  parameter int Stages = 1  // 0 is a wire
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  output logic valid_o
);
  if (Stages == 0) begin : gen_wire
    logic unused_clk;
    assign unused_clk = clk_i ^ rst_ni;
    assign valid_o = valid_i;
  end else begin : gen_registers
    logic [Stages:0] valid;
    logic [Stages-1:0] valid_q;

    assign valid = {valid_q, valid_i};

    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q <= '0;
      else valid_q <= valid[Stages-1:0];
    end

    assign valid_o = valid[Stages];
  end
endmodule
