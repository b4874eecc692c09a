// SPDX-License-Identifier: Apache-2.0
// Delays a word by a fixed number of cycles, without reset: for the data of a free-running
// pipeline.

module hwbnn_delay_line #(
  parameter int Width  = 1,
  parameter int Stages = 1  // 0 is a wire
) (
  input  logic             clk_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  if (Stages == 0) begin : gen_wire
    logic unused_clk;
    assign unused_clk = clk_i;
    assign data_o = data_i;
  end else begin : gen_registers
    logic [Stages*Width-1:0] stages_q;

    if (Stages == 1) begin : gen_one
      always_ff @(posedge clk_i) stages_q <= data_i;
    end else begin : gen_many
      always_ff @(posedge clk_i) stages_q <= {stages_q[(Stages-1)*Width-1:0], data_i};
    end

    assign data_o = stages_q[(Stages-1)*Width +: Width];
  end
endmodule
