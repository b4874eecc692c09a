// SPDX-License-Identifier: Apache-2.0
// Constants that differ from token to token of a frame: gives those of the token that comes next.
// One row alone is wires. The row is read ahead, so that a block memory can hold the rows.

module hwbnn_row_rom #(
  parameter int Width = 8,
  parameter int Rows  = 1,
  parameter logic [Rows*Width-1:0] Contents = '0  // row by row
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,  // a token passes
  output logic [Width-1:0] row_o
);
  if (Rows == 1) begin : gen_wires
    logic unused_clk;
    assign unused_clk = clk_i ^ rst_ni ^ valid_i;
    assign row_o = Contents;
  end else begin : gen_rows
    localparam int IndexWidth = $clog2(Rows);

    logic [Width-1:0] rows [0:Rows-1];
    logic [Width-1:0] row_q;
    logic [IndexWidth-1:0] index_q, index_d;

    initial begin
      for (int i = 0; i < Rows; i++) rows[i] = Contents[i*Width +: Width];
    end

    always_comb begin
      index_d = index_q;
      if (valid_i) index_d = index_q == IndexWidth'(Rows - 1) ? '0 : index_q + 1'b1;
      if (!rst_ni) index_d = '0;
    end

    always_ff @(posedge clk_i) begin
      index_q <= index_d;
      row_q <= rows[index_d];
    end

    assign row_o = row_q;
  end
endmodule
