// Each token leaves at once, with the row that belongs to it above it.
module row_rom_bench #(
  parameter int Width = 8,
  parameter int Rows  = 1,
  parameter int Classes   = 1,
  parameter int Positions = 1,
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  parameter logic [Classes*Rows*Width-1:0] Contents = '0
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  input  logic [7:0]       data_i,
  output logic             valid_o,
  output logic [Width+7:0] data_o
);
  logic [Width-1:0] row;

  assign valid_o = valid_i && rst_ni;
  assign data_o = {row, data_i};
  hwbnn_row_rom #(
    .Width(Width), .Rows(Rows), .Classes(Classes), .Positions(Positions), .Places(Places),
    .Contents(Contents)
  ) u_rom (.clk_i, .rst_ni, .valid_i, .row_o(row));
endmodule
