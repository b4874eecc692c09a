// SPDX-License-Identifier: Apache-2.0
// Constants that differ from token to token; gives those of the next token. They repeat after Rows
// tokens: those of a frame, or of a position of an image. With Classes > 1 the positions of each
// class have constants of their own. Where all rows are equal they are wires, and the logic behind them
// becomes simpler. Rows are read one token ahead, so a block memory can hold them.

module hwbnn_row_rom #(
  parameter int Width     = 8,
  parameter int Rows      = 1,
  parameter int Classes   = 1,
  parameter int Positions = 1,  // of Rows tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  parameter logic [Classes*Rows*Width-1:0] Contents = '0  // row by row, class by class
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,  // a token passes
  output logic [Width-1:0] row_o
);
  localparam int Depth = Classes * Rows;

  function automatic bit all_alike();
    all_alike = 1'b1;
    for (int i = 1; i < Depth; i++) begin
      if (Contents[i*Width +: Width] != Contents[Width-1:0]) all_alike = 1'b0;
    end
  endfunction

  localparam bit Alike = all_alike();

  if (Alike) begin : gen_wires
    logic unused_clk;
    assign unused_clk = clk_i ^ rst_ni ^ valid_i;
    assign row_o = Contents[Width-1:0];
  end else begin : gen_rows
    localparam int AddressWidth = $clog2(Depth);
    localparam int IndexWidth = Rows > 1 ? $clog2(Rows) : 1;

    logic [Width-1:0] rows [0:Depth-1];
    logic [Width-1:0] row_q;
    logic [IndexWidth-1:0] index_q, index_d;
    logic [AddressWidth-1:0] first_d;  // row 0 of the position's class
    logic last;

    initial begin
      for (int i = 0; i < Depth; i++) rows[i] = Contents[i*Width +: Width];
    end

    assign last = index_q == IndexWidth'(Rows - 1);

    always_comb begin
      index_d = index_q;
      if (valid_i) index_d = last ? '0 : index_q + 1'b1;
      if (!rst_ni) index_d = '0;
    end

    always_ff @(posedge clk_i) begin
      index_q <= index_d;
      row_q <= rows[first_d + AddressWidth'(index_d)];
    end

    if (Classes == 1) begin : gen_one_class
      assign first_d = '0;
    end else begin : gen_classes
      localparam int ClassWidth = $clog2(Classes);
      localparam int PlaceWidth = Positions > 1 ? $clog2(Positions) : 1;
      localparam logic [AddressWidth-1:0] First = AddressWidth'(Rows * Places[0 +: ClassWidth]);
      localparam logic [AddressWidth-1:0] Second =
        AddressWidth'(Rows * Places[(1 % Positions)*ClassWidth +: ClassWidth]);

      // The class of the next position stands ready when this one ends.
      logic [AddressWidth-1:0] firsts [0:Positions-1];
      logic [AddressWidth-1:0] first_q, next_q;
      logic [PlaceWidth-1:0] place_q;  // the position behind the next

      initial begin
        for (int i = 0; i < Positions; i++) begin
          firsts[i] = AddressWidth'(Rows * Places[i*ClassWidth +: ClassWidth]);
        end
      end

      always_comb begin
        first_d = valid_i && last ? next_q : first_q;
        if (!rst_ni) first_d = First;
      end

      always_ff @(posedge clk_i) begin
        first_q <= first_d;
        if (!rst_ni) begin
          next_q <= Second;
          place_q <= PlaceWidth'(2 % Positions);
        end else if (valid_i && last) begin
          next_q <= firsts[place_q];
          place_q <= place_q == PlaceWidth'(Positions - 1) ? '0 : place_q + 1'b1;
        end
      end
    end

    assign row_o = row_q;
  end
endmodule
