// SPDX-License-Identifier: Apache-2.0
// Constants that differ from token to token; gives those of the next token. They repeat after Rows
// tokens: those of a frame, or of a position of an image. With Classes > 1 the positions of each
// class have constants of their own. Where all rows are equal they are wires, and the logic behind them
// becomes simpler. Rows are read ahead: a deep memory becomes block memory.

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
  localparam int Shallow = 64;  // rows of a memory in LUTs

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
    // The first row is read in reset. Behind a deep memory, which becomes block memory with a slow
    // output, the next row waits in a register too.
    localparam int Ahead = Depth > Shallow ? 2 : 1;
    localparam int AddressWidth = $clog2(Depth);
    localparam int IndexWidth = Rows > 1 ? $clog2(Rows) : 1;
    localparam int ClassWidth = Classes > 1 ? $clog2(Classes) : 1;

    // The address of a token's row, counted from the first token after reset.
    function automatic logic [AddressWidth-1:0] address_of(int token);
      address_of = AddressWidth'(
        Rows * Places[token / Rows % Positions * ClassWidth +: ClassWidth] + token % Rows);
    endfunction

    logic [Width-1:0] rows [0:Depth-1];
    logic [Width-1:0] read_q;
    logic [AddressWidth-1:0] address_q, address_d, address;
    logic [IndexWidth-1:0] index_q;  // of the row at address_q, in its position
    logic last, step;

    initial begin
      for (int i = 0; i < Depth; i++) rows[i] = Contents[i*Width +: Width];
    end

    assign last = index_q == IndexWidth'(Rows - 1);
    assign step = valid_i || !rst_ni;
    assign address = rst_ni ? address_q : address_of(Ahead - 1);

    always_ff @(posedge clk_i) begin
      if (step) read_q <= rows[address];
      if (!rst_ni) begin
        address_q <= address_of(Ahead);
        index_q <= IndexWidth'(Ahead % Rows);
      end else if (valid_i) begin
        address_q <= address_d;
        index_q <= last ? '0 : index_q + 1'b1;
      end
    end

    if (Classes == 1) begin : gen_one_class
      assign address_d = last ? '0 : address_q + 1'b1;
    end else begin : gen_classes
      localparam int PlaceWidth = Positions > 1 ? $clog2(Positions) : 1;
      localparam int Next = Ahead / Rows + 1;  // position behind that of the row at address_q

      // Row 0 of the class of the next position stands ready when this one ends.
      logic [AddressWidth-1:0] firsts [0:Positions-1];
      logic [AddressWidth-1:0] next_q;
      logic [PlaceWidth-1:0] place_q;  // the position behind the next

      initial begin
        for (int i = 0; i < Positions; i++) firsts[i] = address_of(Rows * i);
      end

      assign address_d = last ? next_q : address_q + 1'b1;

      always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
          next_q <= address_of(Rows * Next);
          place_q <= PlaceWidth'((Next + 1) % Positions);
        end else if (valid_i && last) begin
          next_q <= firsts[place_q];
          place_q <= place_q == PlaceWidth'(Positions - 1) ? '0 : place_q + 1'b1;
        end
      end
    end

    if (Ahead == 1) begin : gen_read
      assign row_o = read_q;
    end else begin : gen_waiting
      logic [Width-1:0] row_q;

      always_ff @(posedge clk_i) begin
        if (!rst_ni) row_q <= Contents[int'(address_of(0))*Width +: Width];
        else if (valid_i) row_q <= read_q;
      end

      assign row_o = row_q;
    end
  end
endmodule
