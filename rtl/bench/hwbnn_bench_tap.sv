// SPDX-License-Identifier: Apache-2.0
// For simulation only: compares one value inside a core with what is recorded of it, frame by frame, by a
// signature of its bits. A line of vectors/taps.hex has 1 and the signature, or 0 for a frame that the core
// had to fill up; the lines of a value are behind each other.

`timescale 1ns / 1ps

module hwbnn_bench_tap #(
  parameter logic [63:0] Build = 64'h0,
  parameter Name = "value",
  parameter int Bits   = 1,  // of a token, those above its elements left out
  parameter int Last   = 1,  // low bits of the last token that hold elements
  parameter int Tokens = 1,  // of a frame
  parameter int Frames = 1,  // in a run
  parameter int Index  = 0,  // of the value in the file
  parameter int Taps   = 1   // values in the file
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            valid_i,  // a token moves
  input logic [Bits-1:0] data_i,
  input logic            done_i    // all frames must have passed
);
  localparam int Words = (Bits + 31) / 32;

  logic [35:0] wanted [0:Taps*Frames-1];
  logic [35:0] want;
  logic [31:0] hash_q, hash;
  logic last;
  int token_q, frame_q;

  initial begin
    int file, found;
    logic [63:0] build;
    file = $fopen("vectors/taps.hex", "r");
    found = file == 0 ? 0 : $fscanf(file, "// hwbnn vectors, build %h", build);
    if (found != 1 || build !== Build) begin
      $display("FAIL: vectors/taps.hex: of build %h, the bench is of build %h", build, Build);
      $fatal(1);
    end
    $fclose(file);
    $readmemh("vectors/taps.hex", wanted);
  end

  assign last = token_q == Tokens - 1;
  assign want = frame_q < Frames ? wanted[Index*Frames + frame_q] : '0;

  // (hash rotated by 13, xor word) * an odd constant, xor its high bits: for each word of 32 bits, the lowest first.
  function automatic logic [31:0] hashed(input logic [31:0] start, input logic [Words*32-1:0] data);
    hashed = start;
    for (int i = 0; i < Words; i++) begin
      hashed = ({hashed[18:0], hashed[31:19]} ^ data[i*32 +: 32]) * 32'h9e3779b1;
      hashed = hashed ^ (hashed >> 15);
    end
  endfunction

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      hash_q <= '1;
      token_q <= 0;
      frame_q <= 0;
    end else begin
      if (valid_i) begin
        hash = hashed(hash_q, (Words*32)'(last ? data_i & Bits'({Last{1'b1}}) : data_i));
        hash_q <= last ? '1 : hash;
        token_q <= last ? 0 : token_q + 1;
        if (last) frame_q <= frame_q + 1;
        if (last && want[32] && hash !== want[31:0]) begin
          $display("FAIL: value %0s, frame %0d: signature %h, expected %h", Name, frame_q, hash,
                   want[31:0]);
          $fatal(1);
        end
      end
      if (done_i && (frame_q != Frames || token_q != 0)) begin
        $display("FAIL: value %0s: %0d frames and %0d tokens, expected %0d frames", Name, frame_q,
                 token_q, Frames);
        $fatal(1);
      end
    end
  end
endmodule
