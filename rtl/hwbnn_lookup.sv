// SPDX-License-Identifier: Apache-2.0
// A table for each element: y = table[((x - Low) >> Shift) * Inverse]. Runs free.
//
// The elements may differ only by multiples of 2^Shift times an odd step. Inverse is then the
// inverse of that step modulo 2^$clog2(Entries): the product, modulo the same number, is the
// difference divided by the step, so no division is needed and the table has no entry that is never
// read.
//
// Latency: 1 cycle, or 2 with a product.

module hwbnn_lookup #(
  parameter int Lanes    = 1,
  parameter int Tokens   = 1,  // tokens of a frame
  parameter int Width    = 3,  // bits of an element
  parameter int Low      = 0,  // the element that reads entry 0
  parameter int Shift    = 0,
  parameter int Inverse  = 1,
  parameter int Entries  = 8,  // of one element's table
  parameter int OutWidth = 4,  // bits of an entry
  parameter logic [Tokens*Lanes*Entries*OutWidth-1:0] Table = '0  // lane by lane, token by token
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width-1:0]    data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  localparam int Depth = Tokens * Entries;
  localparam int IndexWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam int EntryWidth = Entries > 1 ? $clog2(Entries) : 1;
  // Differences are taken modulo 2^Width, which holds all of them whatever the sign.
  localparam logic [31:0] LowBits = Low;
  // Entries that are brought into a memory at once: simulators copy the whole table for each part
  // that they take of it.
  localparam int Part = 64;
  localparam int Parts = (Depth + Part - 1) / Part;

  logic there;  // a token's entries stand at the memories
  logic [Lanes*EntryWidth-1:0] entry;
  logic [IndexWidth-1:0] first;  // entry 0 of this token's tables

  for (genvar l = 0; l < Lanes; l++) begin : gen_entry
    logic [Width-1:0] difference;

    assign difference = data_i[l*Width +: Width] - LowBits[Width-1:0];

    if (Inverse == 1) begin : gen_place
      assign entry[l*EntryWidth +: EntryWidth] = EntryWidth'(difference >> Shift);
    end else begin : gen_product
      logic [EntryWidth-1:0] product_q;

      always_ff @(posedge clk_i) begin
        product_q <= EntryWidth'(difference >> Shift) * EntryWidth'(Inverse);
      end

      assign entry[l*EntryWidth +: EntryWidth] = product_q;
    end
  end

  if (Inverse == 1) begin : gen_now
    assign there = valid_i;
  end else begin : gen_later
    hwbnn_valid_line #(
      .Stages(1)
    ) u_there (
      .clk_i,
      .rst_ni,
      .valid_i,
      .valid_o(there)
    );
  end

  if (Tokens == 1) begin : gen_single
    assign first = '0;
  end else begin : gen_count
    logic [IndexWidth-1:0] first_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) first_q <= '0;
      else if (there) begin
        first_q <= first_q == IndexWidth'(Depth - Entries) ? '0 : first_q + IndexWidth'(Entries);
      end
    end

    assign first = first_q;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    localparam logic [Parts*Part*OutWidth-1:0] LaneTable =
      (Parts*Part*OutWidth)'(Table[l*Depth*OutWidth +: Depth*OutWidth]);

    logic [OutWidth-1:0] entries [0:Depth-1];
    logic [OutWidth-1:0] entry_q;

    initial begin
      logic [Part*OutWidth-1:0] part;
      for (int p = 0; p < Parts; p++) begin
        part = LaneTable[p*Part*OutWidth +: Part*OutWidth];
        for (int i = 0; i < Part; i++) begin
          if (p*Part + i < Depth) entries[p*Part + i] = part[i*OutWidth +: OutWidth];
        end
      end
    end

    always_ff @(posedge clk_i) begin
      entry_q <= entries[first + IndexWidth'(entry[l*EntryWidth +: EntryWidth])];
    end

    assign data_o[l*OutWidth +: OutWidth] = entry_q;
  end

  hwbnn_valid_line #(
    .Stages(1)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(there),
    .valid_o
  );
endmodule
